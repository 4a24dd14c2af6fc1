import CommandLineKit
import Statistics

/// Adds statistics files of one model.
public struct StatisticsMergeJob: Sendable {
    public var inputs: [String]
    public var output: String
    public var force: Bool

    public init(inputs: [String], output: String, force: Bool = false) {
        self.inputs = inputs
        self.output = output
        self.force = force
    }

    /// - Returns: what the sum holds, without its lines.
    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> StatisticsTable {
        let request = OutputRequest(output, kind: .file, inputs: inputs, force: force)
        try request.validate()
        let sum = try StatisticsSum(
            of: inputs.map { (path) throws(StatisticsError) in try ActivationStatistics(path: path) })
        for hash in sum.repeatedTexts {
            progress.log(.warning, "the text with hash \(hash.prefix(16))… is counted more than once")
        }
        try SpaceCheck.require(bytes: try StatisticsWriter.byteCount(sum.header), at: output)
        progress.begin(ProgressStage("merge", total: sum.header.sums.count, unit: .items("inputs")))
        defer { progress.end() }
        return try StagedOutput.write(request, resumable: nil) { staged in
            try sum.write(to: staged.path) { input in
                try interruption.check()
                progress.advance(by: 1, input.name)
            }
            let bytes = try ActivationStatistics(path: staged.path).byteCount
            return StatisticsTable(path: output, header: sum.header, bytes: bytes, lines: [])
        }
    }
}
