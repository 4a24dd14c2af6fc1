import CommandLineKit

/// A command of the program.
///
/// A command is one file in `Commands` and one line in `Program.commands`. It declares its words once, reads them into
/// typed fields, and hands them to a job:
///
///     struct VerifyCommand: Command {
///         static let output = Argument(.folder("OUT"), help: "folder that compress wrote")
///         static let against = RequiredOption("against", .folder("CKPT"), help: "Checkpoint it was made from")
///         static let tolerance = Setting("tolerance", .number("X", from: .inclusive(0)), default: 1e-5, help: "…")
///
///         static let specification = CommandSpecification(
///             "verify", summary: "Recompute every error of an output and hold it against its report",
///             arguments: [output], sections: [OptionSection("Options", [against, tolerance])],
///             examples: [Example("lowrank verify small --against model", "Check an output")])
///
///         private let job: VerifyJob
///
///         init(_ arguments: ParsedArguments) throws {
///             job = VerifyJob(output: arguments[Self.output], checkpoint: arguments[Self.against], …)
///         }
///
///         func run(_ context: RunContext) throws -> ExitCode {
///             let result = try job.run(progress: context.terminal, interruption: context.interruption)
///             try context.terminal.publish(text: { result.table }, json: { result.json.text() })
///             return result.isWithinTolerance ? .done : .conditionNotMet
///         }
///     }
///
/// Help, completions, suggestions and the errors about single values come from the declarations. Rules between options
/// that `Exclusion` cannot say are checked in `init`, before anything is read, by throwing `JobError.usage`.
protocol Command {
    static var specification: CommandSpecification { get }

    /// Reads and checks the words; opens no file.
    init(_ arguments: ParsedArguments) throws

    /// Does the work.
    /// - Returns: `done`, or `conditionNotMet` if a condition the user set is not met.
    /// - Throws: Any error that `Failure(explaining:)` knows.
    func run(_ context: RunContext) throws -> ExitCode
}
