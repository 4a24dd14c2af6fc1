import CommandLineKit
import Jobs

/// `lowrank stats show STATS`
struct StatsShowCommand: Command {
    static let file = Argument(.file("STATS"), help: "Statistics file of calibrate")
    static let condition = Flag("condition", help: "Compute the condition of large moments too")

    static let specification = CommandSpecification(
        "stats show", summary: "Show what a statistics file holds: inputs, tokens, sizes, condition",
        discussion: """
            One line for each input: its features, the tokens seen, the mean size of a value, and the condition number \
            of its moment; for inputs of more than \(StatisticsTable.largestQuickSize) features that takes time, and \
            is left out unless --condition is given.
            """,
        arguments: [file], sections: [OptionSection("Options", [condition])],
        examples: [Example("lowrank stats show stats.safetensors", "Look at a calibration")])

    private let job: StatisticsTableJob

    init(_ arguments: ParsedArguments) {
        job = StatisticsTableJob(path: arguments[Self.file], estimatesEveryCondition: arguments[Self.condition])
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let table = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(text: { table.text }, json: { table.json.text(pretty: true) })
        return .done
    }
}

/// `lowrank stats merge A B … -o C`
struct StatsMergeCommand: Command {
    static let files = ArgumentList(.file("STATS"), help: "Statistics files of one model")
    static let output = RequiredOption("output", letter: "o", .file("SUM"), help: "Statistics file to write")

    static let specification = CommandSpecification(
        "stats merge", summary: "Add statistics of one model over several texts",
        arguments: [files], sections: [OptionSection("Options", [output])],
        examples: [Example("lowrank stats merge wiki.safetensors code.safetensors -o both.safetensors", "Two texts")])

    private let files: [String]
    private let output: String

    init(_ arguments: ParsedArguments) throws {
        files = arguments[Self.files]
        output = arguments[Self.output]
        if files.count < 2 { throw JobError.usage("give two statistics files or more") }
    }

    func run(_ context: RunContext) throws -> ExitCode {
        let job = StatisticsMergeJob(inputs: files, output: output, force: context.force)
        let table = try job.run(progress: context.terminal, interruption: context.interruption)
        context.terminal.publish(text: { table.runsText }, json: { table.json.text(pretty: true) })
        return .done
    }
}
