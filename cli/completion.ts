/** Writes what makes a shell complete subcommands and options. */

import { COMMAND } from './invocation.ts';
import { optionsOf, SUBCOMMANDS, type Subcommand } from './options.ts';

/** Shells that are known. */
export const SHELLS = ['bash', 'zsh'] as const;

/** The script that `source <(mixpanel-cloud-ingestion completion SHELL)` runs. */
export function renderCompletion(shell: (typeof SHELLS)[number]): string {
  const names = Object.keys(SUBCOMMANDS) as Subcommand[];
  const cases = names.map((name) => `    ${name}) options='${optionNames(name).join(' ')}' ;;`).join('\n');
  const words = [...names, 'completion', '--help', '--version'].join(' ');
  if (shell === 'bash') {
    return `_mixpanel_cloud_ingestion() {
  local word=\${COMP_WORDS[COMP_CWORD]} options=
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${words}' -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases}
    completion) COMPREPLY=($(compgen -W '${SHELLS.join(' ')}' -- "$word")); return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _mixpanel_cloud_ingestion ${COMMAND}
`;
  }
  return `#compdef ${COMMAND}
_mixpanel_cloud_ingestion() {
  local options=
  if (( CURRENT == 2 )); then
    compadd -- ${words}
    return
  fi
  case $words[2] in
${cases}
    completion) compadd -- ${SHELLS.join(' ')}; return ;;
  esac
  if [[ $words[CURRENT] == -* ]]; then
    compadd -- \${=options}
  else
    _files
  fi
}
compdef _mixpanel_cloud_ingestion ${COMMAND}
`;
}

function optionNames(name: Subcommand): string[] {
  return Object.keys(optionsOf(name)).map((option) => `--${option}`);
}
