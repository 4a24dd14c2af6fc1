import Checkpoints
import CommandLineKit
import Planning
import Safetensors

/// Writes shards of the output while the rest is still compressed.
///
/// Tensors keep the order of the source and fill shards from the front, so a shard is decided once everything before
/// its end is finished (`OutputAssembly`). It is then written beside the journal, under its number, and forced to the
/// disk; the units that it took its tensors from are not needed any more. So the disk holds the output and the units of
/// about one shard, not everything twice, and one shard is left to write at the end.
///
/// A shard is there whole or not at all, and its bytes are the same whenever it is written: a run that goes on begins
/// behind the shards that it finds. One that is on its way when the run is stopped is given up at its next tensor; its
/// units are still there.
final class ShardStream {
    /// All groups of the run, in the order of the outline.
    let groups: [PlannedGroup]
    /// The shards that are written, and what they hold.
    private(set) var written = FinishedTensors(files: [])
    private let folder: String
    private let checkpoint: Checkpoint
    private let outline: CompressionOutline
    private let progress: any ProgressReporter
    private let interruption: Interruption
    private var writing: BackgroundWrite?
    /// Bytes of finished units when shards were last looked for.
    private var bytesSeen = 0

    /// - Parameter folder: for shards; those that an earlier run of the same journal has written are kept.
    init(
        _ folder: String, _ checkpoint: Checkpoint, _ request: CompressionRequest, _ plan: CompressionPlan,
        _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws {
        self.interruption = interruption
        self.folder = folder
        self.checkpoint = checkpoint
        self.progress = progress
        groups = plan.groups
        outline = CompressionOutline(request, plan)
        try find()
    }

    /// Bytes of units that may lie on the disk beside the output, for groups that are in the order of the model: those
    /// of the open shard, and twice what comes between two looks.
    static func unitBytes(maximumShardBytes: Int) -> Int {
        let limit = min(maximumShardBytes, Int.max / 4)
        return limit + 2 * step(limit)
    }

    private static func step(_ maximumShardBytes: Int) -> Int { max(maximumShardBytes / 4, 1) }

    /// Whether enough is finished since the last look for another shard to be full.
    /// - Parameter bytes: of all units that this run has finished.
    func isDue(_ bytes: Int) -> Bool { bytes - bytesSeen >= Self.step(outline.maximumShardBytes) }

    /// Begins to write the shards that are full; none may be on its way.
    func begin(_ results: [ModuleResult], _ tensors: FinishedTensors, finishedBytes: Int) {
        bytesSeen = finishedBytes
        let first = written.shards.count
        writing = BackgroundWrite { [folder, checkpoint, outline, progress, interruption] in
            let front = try OutputAssembly(checkpoint, outline, results, tensors, interruption: interruption)
            for (index, shard) in try front.fullShards().enumerated().dropFirst(first) {
                try FileSystem.makeFolder(folder)
                try front.write(shard: shard, to: Self.path(folder, index), progress: progress)
            }
        }
    }

    /// Waits for the shards on their way.
    /// - Returns: whether there are new ones.
    func collect() throws -> Bool {
        guard let running = writing else { return false }
        writing = nil
        let before = written.shards.count
        try running.wait()
        try find()
        return written.shards.count > before
    }

    private func find() throws {
        while try FileSystem.entry(at: Self.path(folder, written.shards.count)) != nil {
            let path = Self.path(folder, written.shards.count)
            written.add(shard: path, tensors: try SafetensorsFile(path: path).tensors.map(\.name))
        }
    }

    private static func path(_ folder: String, _ index: Int) -> String { "\(folder)/\(index + 1).safetensors" }
}
