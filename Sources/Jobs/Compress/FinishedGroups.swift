import CompressionCore
import Kernels
import Planning
import Safetensors

/// The finished groups of a compression, in the journal, several small ones to a unit.
///
/// A unit is forced to the disk four times, which a slow disk answers after tens of milliseconds however little there
/// is to write. So groups stay in memory until together they are worth it; a run that is killed does again what it had
/// not written, which is less than `UnitSize.seconds` of work, and ends with the same bytes.
///
/// A unit is written while the next groups are computed, one at a time. The data file of a unit has the tensors of its
/// groups; its record lists them with what the report says of them. Both are there or neither is. Where shards of the
/// output are written ahead, these take the tensors over, and the data file goes.
final class FinishedGroups {
    private struct Pending: Sendable {
        let name: String
        let results: [ModuleResult]
        let tensors: [(name: String, tensor: StoredTensor)]
    }

    private let journal: Journal
    private let limit: UnitSize
    private let scope: String
    private var known: [String: (unit: String, results: [ModuleResult])] = [:]
    private var pending: [Pending] = []
    /// Groups on their way to the disk.
    private var leaving: [Pending] = []
    private var writing: BackgroundWrite?
    private let stream: ShardStream?
    /// Bytes of the units that this run has written.
    private var finishedBytes = 0
    private let files = OpenFiles()
    private var sinceFlush = Stopwatch()

    /// Finds what earlier runs have finished.
    ///
    /// - Parameters:
    ///   - scope: tells several compressions in one journal apart; each sees its own units only.
    ///   - records: those of the journal, where they are read already.
    ///   - stream: writes shards of the output ahead; nil where it is put together in another way.
    init(
        _ journal: Journal, _ limit: UnitSize, scope: String = "", records: [JSON]? = nil, stream: ShardStream? = nil
    ) throws {
        self.journal = journal
        self.stream = stream
        self.limit = limit
        self.scope = scope
        for record in try records ?? journal.records() where record["scope"]?.string ?? "" == scope {
            let groups = record["groups"]?.array ?? []
            guard let unit = groups.first?["name"]?.string else { throw Self.unreadable("a unit") }
            for group in groups {
                guard let name = group["name"]?.string, let modules = group["modules"]?.array else {
                    throw Self.unreadable(unit)
                }
                let results = modules.compactMap(ModuleResult.init)
                // Shards may have gone with an output that was about to appear; then their groups are done again.
                if try stream == nil || isKept(unit) || areInShards(results) { known[name] = (unit, results) }
            }
        }
    }

    /// What is known of a group; nil if it is not finished.
    func results(of group: PlannedGroup) throws -> [ModuleResult]? {
        guard let results = known[group.name]?.results else { return nil }
        guard results.map(\.name) == group.modules.map(\.module.name) else { throw Self.unreadable(group.name) }
        return results
    }

    /// The file that has the tensors of a finished group, between those of others; nil where all of its unit stays
    /// dense.
    func tensorFile(of group: PlannedGroup) throws -> String? {
        precondition(pending.isEmpty && leaving.isEmpty, "groups that are not written yet")
        return try unitFile(of: group)
    }

    private func unitFile(of group: PlannedGroup) throws -> String? {
        guard let unit = known[group.name]?.unit else { return nil }
        return try isKept(unit) ? dataPath(unit) : nil
    }

    /// Where the tensors of groups lie that are written.
    func tensors(of groups: [PlannedGroup]) throws -> FinishedTensors {
        var tensors = stream?.written ?? FinishedTensors(files: [])
        tensors.files = try groups.map(unitFile)
        return tensors
    }

    private func isKept(_ unit: String) throws -> Bool { try FileSystem.entry(at: dataPath(unit)) != nil }

    private func areInShards(_ results: [ModuleResult]) -> Bool {
        results.flatMap(\.tensors).allSatisfy { stream?.written.shard(of: $0) != nil }
    }

    /// A tensor of a finished group, written or not; nil where it has none of that name.
    func tensor(_ name: String, of group: PlannedGroup) throws -> StoredTensor? {
        if let waiting = (pending + leaving).first(where: { $0.name == group.name }) {
            return waiting.tensors.first { $0.name == name }?.tensor
        }
        guard let unit = known[group.name]?.unit else { return nil }
        let file = try files.file(at: stream?.written.shard(of: name) ?? dataPath(unit))
        guard let tensor = file.tensor(named: name) else { return nil }
        return StoredTensor(dtype: tensor.dtype, shape: tensor.shape, bytes: try file.bytes(of: name))
    }

    /// Takes a group, and writes all that wait if they are enough.
    func add(
        _ group: PlannedGroup, _ results: [ModuleResult], tensors: [(name: String, tensor: StoredTensor)]
    ) throws {
        pending.append(Pending(name: group.name, results: results, tensors: tensors))
        let bytes = pending.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.tensor.byteCount } }
        if bytes >= limit.bytes || sinceFlush.seconds >= limit.seconds {
            try beginWriting()
            try fillShards()
        }
    }

    /// Writes the groups that wait; to be called when the last one is done, and when the run ends early.
    func flush() throws {
        try beginWriting()
        try endWriting()
        try collectShards()
    }

    /// Has full shards written, once enough is finished for one.
    private func fillShards() throws {
        guard let stream, stream.isDue(finishedBytes) else { return }
        try collectShards()
        stream.begin(
            known.values.flatMap { $0.results }, try tensors(of: stream.groups), finishedBytes: finishedBytes)
    }

    /// Removes the data of units whose tensors are all in shards.
    private func collectShards() throws {
        guard let stream, try stream.collect() else { return }
        for (unit, groups) in Dictionary(grouping: known.values, by: { $0.unit })
        where areInShards(groups.flatMap { $0.results }) {
            try FileSystem.removeTree(dataPath(unit))
        }
    }

    private func beginWriting() throws {
        try endWriting()
        sinceFlush = Stopwatch()
        guard let unit = pending.first?.name else { return }
        (leaving, pending) = (pending, [])
        writing = BackgroundWrite { [leaving, journal, scope, path = dataPath(unit)] in
            let tensors = leaving.flatMap(\.tensors)
            if !tensors.isEmpty { try Self.write(tensors, to: path) }
            try journal.finish(
                scope + unit, record: Self.record(of: leaving, scope),
                work: FinishedWork(leaving.reduce(0) { $0 + $1.results.count }, .matrix))
        }
    }

    private func endWriting() throws {
        guard let running = writing else { return }
        defer { leaving = [] }
        writing = nil
        try running.wait()
        guard let unit = leaving.first?.name else { return }
        for group in leaving {
            known[group.name] = (unit, group.results)
            finishedBytes += group.tensors.reduce(0) { $0 + $1.tensor.byteCount }
        }
    }

    private static func record(of groups: [Pending], _ scope: String) -> JSON {
        let groups = groups.map { group -> JSON in
            ["name": JSON(group.name), "modules": .array(group.results.map(\.record))]
        }
        var record: JSON = ["groups": .array(groups)]
        if !scope.isEmpty { record["scope"] = JSON(scope) }
        return record
    }

    private static func write(_ tensors: [(name: String, tensor: StoredTensor)], to path: String) throws {
        let writer = try SafetensorsWriter(
            path: path,
            tensors: tensors.map { TensorDeclaration(name: $0.name, dtype: $0.tensor.dtype, shape: $0.tensor.shape) })
        for tensor in tensors {
            try tensor.tensor.withUnsafeBytes { try writer.append($0, to: tensor.name) }
        }
        try writer.finish()
    }

    private func dataPath(_ unit: String) -> String { journal.dataPath(of: scope + unit, ".safetensors") }

    private static func unreadable(_ group: String) -> JobError {
        .badInput("the record of \(group) in the journal cannot be read; --force without --resume discards it")
    }
}

/// How much work is put into one unit of the journal.
public struct UnitSize: Sendable {
    /// Of tensors kept in memory.
    public var bytes: Int
    /// Of work that a kill may cost.
    public var seconds: Double

    public init(bytes: Int, seconds: Double) {
        self.bytes = bytes
        self.seconds = seconds
    }

    /// Forcing a unit to a slow disk is done well before the next one.
    public static let usual = UnitSize(bytes: 64 << 20, seconds: 0.5)
}
