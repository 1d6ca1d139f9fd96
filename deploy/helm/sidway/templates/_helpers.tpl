{{- define "sidway.name" -}}
{{- if contains "sidway" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ .Release.Name | trunc 43 | trimSuffix "-" }}-sidway{{ end -}}
{{- end }}
{{- define "sidway.selector" -}}
app.kubernetes.io/name: sidway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "sidway.labels" -}}
{{ include "sidway.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
