import CompressionCore
import Kernels
import Planning
import Safetensors

/// The finished groups of a compression, in the journal, several small ones to a unit.
///
/// A unit is forced to the disk four times, which a slow disk answers after tens of milliseconds however little there is
/// to write. So groups stay in memory until together they are worth it; a run that is killed does again what it had not
/// written, which is less than `UnitSize.seconds` of work, and ends with the same bytes.
///
/// The data file of a unit has the tensors of its groups; its record lists them with what the report says of them. Both
/// are there or neither is.
final class FinishedGroups {
    private struct Pending {
        let name: String
        let results: [ModuleResult]
        let tensors: [(name: String, tensor: StoredTensor)]
    }

    private let journal: Journal
    private let limit: UnitSize
    private let scope: String
    private var known: [String: (unit: String, results: [ModuleResult])] = [:]
    private var pending: [Pending] = []
    private var files: [String: SafetensorsFile] = [:]
    private var sinceFlush = Stopwatch()

    /// Finds what earlier runs have finished.
    ///
    /// - Parameters:
    ///   - scope: tells several compressions in one journal apart; each sees its own units only.
    ///   - records: those of the journal, where they are read already.
    init(_ journal: Journal, _ limit: UnitSize, scope: String = "", records: [JSON]? = nil) throws {
        self.journal = journal
        self.limit = limit
        self.scope = scope
        for record in try records ?? journal.records() where record["scope"]?.string ?? "" == scope {
            let groups = record["groups"]?.array ?? []
            guard let unit = groups.first?["name"]?.string else { throw Self.unreadable("a unit") }
            for group in groups {
                guard let name = group["name"]?.string, let modules = group["modules"]?.array else {
                    throw Self.unreadable(unit)
                }
                known[name] = (unit, modules.compactMap(ModuleResult.init))
            }
        }
    }

    /// What is known of a group; nil if it is not finished.
    func results(of group: PlannedGroup) throws -> [ModuleResult]? {
        guard let results = known[group.name]?.results else { return nil }
        guard results.map(\.name) == group.modules.map(\.module.name) else { throw Self.unreadable(group.name) }
        return results
    }

    /// The tensors of a finished group, by name, between those of others; nil where all of its unit stays dense.
    func file(of group: PlannedGroup) throws -> SafetensorsFile? {
        precondition(pending.isEmpty, "groups that are not written yet")
        guard let unit = known[group.name]?.unit else { return nil }
        let path = dataPath(unit)
        if let file = files[unit] { return file }
        guard try FileSystem.entry(at: path) != nil else { return nil }
        let file = try SafetensorsFile(path: path)
        files[unit] = file
        return file
    }

    /// A tensor of a finished group, written or not; nil where it has none of that name.
    func tensor(_ name: String, of group: PlannedGroup) throws -> StoredTensor? {
        if let waiting = pending.first(where: { $0.name == group.name }) {
            return waiting.tensors.first { $0.name == name }?.tensor
        }
        guard let unit = known[group.name]?.unit else { return nil }
        let file = try files[unit] ?? SafetensorsFile(path: dataPath(unit))
        files[unit] = file
        guard let tensor = file.tensor(named: name) else { return nil }
        return StoredTensor(dtype: tensor.dtype, shape: tensor.shape, bytes: try file.bytes(of: name))
    }

    /// Takes a group, and writes all that wait if they are enough.
    func add(
        _ group: PlannedGroup, _ results: [ModuleResult], tensors: [(name: String, tensor: StoredTensor)]
    ) throws {
        pending.append(Pending(name: group.name, results: results, tensors: tensors))
        let bytes = pending.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.tensor.byteCount } }
        if bytes >= limit.bytes || sinceFlush.seconds >= limit.seconds { try flush() }
    }

    /// Writes the groups that wait; to be called when the last one is done, and when the run ends early.
    func flush() throws {
        sinceFlush = Stopwatch()
        guard let unit = pending.first?.name else { return }
        let tensors = pending.flatMap(\.tensors)
        if !tensors.isEmpty { try write(tensors, to: dataPath(unit)) }
        let groups = pending.map { group -> JSON in
            ["name": JSON(group.name), "modules": .array(group.results.map(\.record))]
        }
        var record: JSON = ["groups": .array(groups)]
        if !scope.isEmpty { record["scope"] = JSON(scope) }
        try journal.finish(scope + unit, record: record)
        for group in pending { known[group.name] = (unit, group.results) }
        pending = []
    }

    private func write(_ tensors: [(name: String, tensor: StoredTensor)], to path: String) throws {
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

    /// Forcing a unit to a slow disk costs a tenth of the time at most.
    public static let usual = UnitSize(bytes: 64 << 20, seconds: 2)
}
