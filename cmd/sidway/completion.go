package main

import (
	"fmt"
	"strings"
)

// shells are what completion can be printed for.
var shells = map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}

// completion prints what a shell completes commands and flags with.
func (c command) completion(args []string) error {
	if len(args) == 1 && shells[args[0]] != nil {
		_, err := fmt.Fprint(c.stdout, shells[args[0]]())
		return err
	}
	return &usageError{text: "say for which shell, as sidway completion bash; there are bash, fish and zsh", help: "completion"}
}

// words are what may follow a command: its flags, or what it prints for.
func (v verb) words() (all []string) {
	switch v.name {
	case "help":
		return append(names(), "settings")
	case "completion":
		return []string{"bash", "fish", "zsh"}
	}
	for _, f := range v.flags() {
		all = append(all, "--"+f.Name)
	}
	if v.name == "guard" {
		all = append(all, "list")
	}
	return all
}

// cases writes what is completed after each command, by a format for its name and its words.
func cases(format string) string {
	var b strings.Builder
	for _, v := range verbs {
		if words := v.words(); len(words) > 0 {
			fmt.Fprintf(&b, format, v.name, strings.Join(words, " "))
		}
	}
	return b.String()
}

func bashCompletion() string {
	return `# bash completion of sidway, by sidway completion bash
_sidway() {
	local cur=${COMP_WORDS[COMP_CWORD]} words=
	COMPREPLY=()
	[ "${COMP_WORDS[COMP_CWORD-1]}" != --config ] || return # -o default: a file
	if [ "$COMP_CWORD" = 1 ]; then
		words="` + strings.Join(names(), " ") + `"
	else
		case ${COMP_WORDS[1]} in
` + cases("\t\t%s) words=\"%s\" ;;\n") + `		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _sidway sidway
`
}

func zshCompletion() string {
	return `#compdef sidway
# zsh completion of sidway, by sidway completion zsh
if (( CURRENT == 2 )); then
	compadd -- ` + strings.Join(names(), " ") + `
elif [[ ${words[CURRENT-1]} == --config ]]; then
	_files
else
	case ${words[2]} in
` + cases("\t%s) compadd -- %s ;;\n") + `	esac
fi
`
}

func fishCompletion() string {
	var b strings.Builder
	b.WriteString("# fish completion of sidway, by sidway completion fish\ncomplete -c sidway -f\n")
	for _, v := range verbs {
		fmt.Fprintf(&b, "complete -c sidway -n __fish_use_subcommand -a %s\n", v.name)
		seen := fmt.Sprintf("complete -c sidway -n '__fish_seen_subcommand_from %s'", v.name)
		flags := v.flags()
		for i, w := range v.words() { // which are the flags, where there are any
			name, isFlag := strings.CutPrefix(w, "--")
			switch {
			case !isFlag:
				fmt.Fprintf(&b, "%s -a %s\n", seen, w)
			case name == "config":
				fmt.Fprintf(&b, "%s -l config -r -F\n", seen)
			case isSwitch(flags[i]):
				fmt.Fprintf(&b, "%s -l %s\n", seen, name)
			default:
				fmt.Fprintf(&b, "%s -l %s -x\n", seen, name)
			}
		}
	}
	return b.String()
}
