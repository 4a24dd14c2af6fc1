import CommandLineKit
import Jobs

/// What every command is given beside its own words.
struct RunContext {
    /// Results and progress. Results are given in both forms with `terminal.publish(text:json:)`.
    let terminal: Terminal
    /// Looked at by long jobs between two units of work.
    let interruption: Interruption
    /// `--seed`; the seed of every random number.
    let seed: UInt64
    /// `--force`: outputs may replace what exists.
    let force: Bool
    /// The words of the command line, for reports.
    let commandLine: [String]
    /// The whole program, for help and completions.
    let program: ProgramSpecification
}
