export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** `kiln __complete` gives a candidate a line, with a tab before what it is; `:files` and `:directories` are left to the shell. */
export const scripts: Readonly<Record<Shell, string>> = {
  bash: `# bash completion of kiln
_kiln() {
  local line=\${COMP_LINE:0:COMP_POINT} words value description more='' cut=''
  IFS=' ' read -ra words <<<"$line"
  [[ $line == *' ' ]] && words+=('')
  local current=\${words[-1]}
  # bash breaks words at = and :, and wants what comes after.
  [[ $current == *[=:]* ]] && cut=\${current%"\${current##*[=:]}"}
  COMPREPLY=()
  while IFS=$'\\t' read -r value description; do
    case $value in
      :files | :directories) more=$value ;;
      *) COMPREPLY+=("\${value#"$cut"}") ;;
    esac
  done < <("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)
  if [[ -n $more ]]; then
    local kind=-f
    [[ $more == :directories ]] && kind=-d
    while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen "$kind" -- "\${current#"$cut"}")
    compopt -o filenames 2>/dev/null
  fi
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _kiln kiln
`,
  zsh: `#compdef kiln
# zsh completion of kiln
_kiln() {
  local value description more=''
  local -a found
  while IFS=$'\\t' read -r value description; do
    case $value in
      :files|:directories) more=$value ;;
      *) found+=("\${value//:/\\\\:}:$description") ;;
    esac
  done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#found} )) && _describe -V kiln found
  if [[ -n $more ]]; then
    compset -P '*='
    if [[ $more == :directories ]]; then _files -/; else _files; fi
  fi
}
compdef _kiln kiln
`,
  fish: `# fish completion of kiln
function __kiln_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete $words[2..-1] 2>/dev/null | while read -l line
    switch $line
      case ':files'
        __fish_complete_path (commandline -ct)
      case ':directories'
        __fish_complete_directories (commandline -ct)
      case '*'
        echo $line
    end
  end
end
complete -c kiln -f -a '(__kiln_complete)'
`,
};
