// eraft completion: a script that makes a shell complete commands and flags.
import { Argument, type Command, type Option } from 'commander';
import { EXIT, type ExitCode } from '../exit.js';
import { type Io, write } from '../io.js';
import type { Action } from '../program.js';

interface Word {
  readonly name: string;
  readonly about: string;
  readonly flags: readonly string[];
}

function wordsOf(program: Command): Word[] {
  return program.commands.map((command) => ({
    name: command.name(),
    about: command.description(),
    flags: [...command.options.filter((option) => !option.hidden).flatMap(longFlags), '--help'],
  }));
}

/** An option of two long names has the first of them where a short one would be. */
function longFlags({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag?.startsWith('--')) as string[];
}

function bash(words: readonly Word[]): string {
  const cases = words.map(({ name, flags }) => `    ${name}) words="${flags.join(' ')}" ;;`).join('\n');
  return `# eraft completion for bash: source <(eraft completion bash)
_eraft() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  case "\${COMP_WORDS[1]}" in
${cases}
    *) words="" ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="${words.map(({ name }) => name).join(' ')} --help --version"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _eraft eraft
`;
}

function zsh(words: readonly Word[]): string {
  const names = words
    .map(({ name, about }) => `    '${name}:${about.replaceAll("'", '').replaceAll(':', ' -')}'`)
    .join('\n');
  const cases = words.map(({ name, flags }) => `    ${name}) compadd -- ${flags.join(' ')} ;;`).join('\n');
  return `#compdef eraft
# eraft completion for zsh: eraft completion zsh > "\${fpath[1]}/_eraft"
_eraft() {
  local -a commands
  commands=(
${names}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  case "\${words[2]}" in
${cases}
  esac
  _files
}
compdef _eraft eraft
`;
}

function fish(words: readonly Word[]): string {
  const lines = words.flatMap(({ name, about, flags }) => [
    `complete -c eraft -n __fish_use_subcommand -a ${name} -d '${about.replaceAll("'", '')}'`,
    ...flags.map((flag) => `complete -c eraft -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}`),
  ]);
  return `# eraft completion for fish: eraft completion fish > ~/.config/fish/completions/eraft.fish\n${lines.join('\n')}\n`;
}

const SHELLS = { bash, zsh, fish } as const;

async function completion(program: Command, shell: keyof typeof SHELLS, io: Io): Promise<ExitCode> {
  await write(io.stdout, SHELLS[shell](wordsOf(program)));
  return EXIT.ok;
}

export function addCompletion(program: Command, io: Io, run: (action: Action) => void): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>').choices(Object.keys(SHELLS)))
    .description('print a script that completes commands and flags')
    .action((shell: keyof typeof SHELLS) => run(() => completion(program, shell, io)));
}
