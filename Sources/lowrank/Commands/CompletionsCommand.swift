import CommandLineKit

/// `lowrank completions bash|zsh|fish`
struct CompletionsCommand: Command {
    static let shell = Argument(ValueFormat<Shell>.choice("SHELL"), help: "bash, zsh or fish")

    static let specification = CommandSpecification(
        "completions", summary: "Print a script that completes commands and options in a shell", arguments: [shell],
        examples: [
            Example("source <(lowrank completions bash)", "In this bash, now"),
            Example("lowrank completions zsh > ~/.zfunc/_lowrank", "In every zsh whose fpath has ~/.zfunc"),
            Example("lowrank completions fish > ~/.config/fish/completions/lowrank.fish", "In every fish"),
        ])

    private let shell: Shell

    init(_ arguments: ParsedArguments) {
        shell = arguments[Self.shell]
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let script = context.program.completions(for: shell)
        context.terminal.publish(
            text: { script }, json: { JSONText.object(["shell": shell.rawValue, "script": script]) })
        return .done
    }
}
