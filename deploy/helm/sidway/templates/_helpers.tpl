{{- define "sidway.name" -}}
{{- if contains "sidway" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ .Release.Name | trunc 43 | trimSuffix "-" }}-sidway{{ end -}}
{{- end }}
{{/* Not empty where sidway speaks TLS to clients. */}}
{{- define "sidway.tls" -}}
{{- if or .Values.tls.secrets (dig "tls" "certificates" "" .Values.settings) (dig "tls" "acme" "" .Values.settings) }}true{{ end -}}
{{- end }}
{{/* The settings, with listeners and certificates where TLS is spoken. */}}
{{- define "sidway.settings" -}}
{{- $s := deepCopy .Values.settings }}
{{- if and (include "sidway.tls" .) (not (get $s "listen")) }}
{{- $_ := set $s "listen" (list (dict "address" ":8080" "redirect" "https") (dict "address" ":8443" "tls" true)) }}
{{- end }}
{{- if .Values.tls.secrets }}
{{- $certificates := dig "tls" "certificates" list $s }}
{{- range .Values.tls.secrets }}
{{- $certificates = append $certificates (dict "cert" (printf "/etc/sidway-tls/%s/tls.crt" .) "key" (printf "/etc/sidway-tls/%s/tls.key" .)) }}
{{- end }}
{{- $_ := set $s "tls" (set (default dict (get $s "tls")) "certificates" $certificates) }}
{{- end }}
{{- toYaml $s }}
{{- end }}
{{/* The pods' ports, as the settings say: http and https of the first listener of each kind, and admin. */}}
{{- define "sidway.ports" -}}
{{- $s := fromYaml (include "sidway.settings" .) }}
{{- $ports := dict "admin" (regexFind "[0-9]+$" (dig "admin" "listen" "" $s)) }}
{{- if not (get $ports "admin") }}{{ fail "settings.admin.listen has to name a port, as 0.0.0.0:9090: the probes ask there" }}{{ end }}
{{- $listen := get $s "listen" | default ":8080" }}
{{- if not (kindIs "slice" $listen) }}{{ $listen = list $listen }}{{ end }}
{{- range $listen }}
{{- $l := . }}
{{- if not (kindIs "map" .) }}{{ $l = dict "address" (toString .) }}{{ end }}
{{- $port := regexFind ":[0-9]+$" (get $l "address") | trimPrefix ":" }}
{{- $name := ternary "https" "http" (default false (get $l "tls")) }}
{{- if and $port (not (hasKey $ports $name)) }}{{ $_ := set $ports $name $port }}{{ end }}
{{- end }}
{{- toYaml $ports }}
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
