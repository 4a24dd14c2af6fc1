import Checkpoints
import CommandLineKit
import Kernels
import Safetensors

/// Joins the parts of a compression that was divided over machines.
///
/// The output has the bytes that one run over everything gives: the same assembly writes it, with tensors from the
/// parts. What is not compressed comes from the checkpoint, which is found where the parts were made unless it is
/// given.
public struct MergeJob: Sendable {
    public var parts: [String]
    public var output: String
    /// nil for the path that the parts have written down.
    public var checkpoint: String?
    public var force: Bool
    /// For the report.
    public var commandLine: [String] = []

    public init(parts: [String], output: String, checkpoint: String? = nil, force: Bool = false) {
        self.parts = parts
        self.output = output
        self.checkpoint = checkpoint
        self.force = force
    }

    @discardableResult
    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> CompressionReport {
        let watch = Stopwatch()
        let set = try PartSet(parts)
        let path = checkpoint ?? set.parts[0].checkpoint
        let request = OutputRequest(output, inputs: parts + [path], force: force)
        try request.validate()
        let checkpoint = try open(path, set.description)
        let ending = CompressionEnding(
            checkpoint: checkpoint, outline: set.description.outline, results: results(set, checkpoint),
            tensors: FinishedTensors(files: set.description.division.map { set.parts[$0 - 1].tensorFile }),
            interruption: interruption)
        try SpaceCheck.require(bytes: try neededBytes(set, checkpoint), at: output)
        return try StagedOutput.write(request, resumable: nil) { staged in
            try interruption.check()
            return try ending.write(to: staged.path, progress: progress) {
                RunFacts(
                    commandLine: commandLine, instructionSet: set.description.instructionSet, threads: Threads.count,
                    seconds: set.parts.reduce(watch.seconds) { $0 + $1.seconds },
                    peakResidentBytes: set.parts.reduce(ResourceUse.peakResidentBytes) {
                        max($0, $1.peakResidentBytes)
                    })
            }
        }
    }

    private func open(_ path: String, _ part: PartDescription) throws -> Checkpoint {
        if checkpoint == nil, try FileSystem.entry(at: path) == nil {
            throw JobError.badInput("the checkpoint of the parts is not at \(path) any more; give --source", file: path)
        }
        let checkpoint = try Checkpoint(path: path)
        guard try checkpoint.fingerprint() == part.source else {
            throw JobError.badInput("the parts were made from another checkpoint: the fingerprints differ", file: path)
        }
        return checkpoint
    }

    /// In the order of the model, as one run has them.
    private func results(_ set: PartSet, _ checkpoint: Checkpoint) -> [ModuleResult] {
        let order = Dictionary(
            uniqueKeysWithValues: checkpoint.compressibleModules.enumerated().map { ($1.name, $0) })
        return set.parts.flatMap(\.results).sorted { order[$0.name, default: 0] < order[$1.name, default: 0] }
    }

    /// What is copied and what the parts hold; a little too much where parts hold what replaces it.
    private func neededBytes(_ set: PartSet, _ checkpoint: Checkpoint) throws -> Int {
        let compressed = Set(set.parts.flatMap(\.results).filter(\.isCompressed).map(\.name))
        let replaced = checkpoint.compressibleModules.filter { compressed.contains($0.name) }
            .reduce(0) { $0 + $1.storedBytes }
        let held = try set.parts.reduce(0) { total, part in
            guard case .file(let bytes)? = try FileSystem.entry(at: part.tensorFile) else { return total }
            return total + bytes
        }
        return checkpoint.byteCount - replaced + held
    }
}
