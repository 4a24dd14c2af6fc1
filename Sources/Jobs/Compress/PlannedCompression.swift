import Checkpoints
import CommandLineKit
import CompressionCore
import Planning
import Safetensors

/// A compression with its checkpoint open and its ranks decided, as far as shapes decide them.
public struct PlannedCompression: Sendable {
    public let checkpoint: Checkpoint
    public let plan: CompressionPlan
    let objectives: ObjectiveSource
    /// Which part each group belongs to, counted from 1; empty where the run is not divided.
    let division: [Int]
    private let shard: Shard?
    private let maximumShardBytes: Int

    /// - Throws: what is wrong with the checkpoint, the selection, the method's options, the target, the plan file or
    ///   the statistics.
    init(_ request: CompressionRequest, _ progress: any ProgressReporter, _ interruption: Interruption) throws {
        _ = try Self.method(request.method, request.settings)
        let checkpoint = try Checkpoint(path: request.checkpoint)
        for warning in checkpoint.warnings { progress.log(.warning, "\(warning)") }
        try self.init(request, of: checkpoint, progress, interruption)
    }

    /// - Parameters:
    ///   - checkpoint: the one that the request names, opened.
    ///   - known: the statistics that the request names, opened for the same matrices.
    ///   - spectra: those in the metric of the request, as far as they are known.
    init(
        _ request: CompressionRequest, of checkpoint: Checkpoint, objectives known: ObjectiveSource? = nil,
        spectra: SpectraCache? = nil, _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws {
        let method = try Self.method(request.method, request.settings)
        shard = request.shard
        maximumShardBytes = request.maximumShardBytes
        self.checkpoint = checkpoint
        if let path = request.planPath {
            plan = try Self.plan(path, of: checkpoint, request)
            objectives = try known ?? ObjectiveSource(
                request.objective, of: checkpoint, modules: plan.modules.map(\.module), progress)
            division = Self.division(of: plan, request.shard)
            return
        }
        if request.spectra != nil, request.allocation.rule == .uniform {
            throw JobError.usage("--spectra: the allocation uniform needs none; give another --allocation")
        }
        let modules = try request.selection.modules(of: checkpoint)
        objectives = try known ?? ObjectiveSource(request.objective, of: checkpoint, modules: modules, progress)
        if request.allocation.rule != .uniform {
            let spectra = try spectra ?? SpectraCache(request, of: checkpoint)
            plan = try AllocatedPlan(
                checkpoint: checkpoint, modules: modules,
                groups: try ModuleGroups(modules, of: checkpoint, for: method.compressor).groups, method: method,
                objectives: objectives, request: request,
                spectra: spectra, progress: progress, interruption: interruption
            ).make()
            try spectra.save()
        } else {
            plan = try UniformPlanner(factorType: request.factorType)
                .plan(modules, of: checkpoint, with: method, target: request.target)
        }
        division = Self.division(of: plan, request.shard)
        Self.warnOfIdleTarget(request.target, checkpoint, progress)
        for group in plan.groups where !type(of: group.compressor).truncatesFactors {
            guard let module = group.modules.first(where: { $0.module.factors != nil })?.module else { continue }
            throw JobError.badInput(
                "\(module.name) is compressed already, as \(module.factors?.schema ?? ""), which \(group.method) "
                    + "cannot go on from; compress the original", file: request.checkpoint, tensor: module.name)
        }
    }

    /// A target that the checkpoint meets as it is still makes the largest uniform cut, which costs accuracy.
    private static func warnOfIdleTarget(
        _ target: Target, _ checkpoint: Checkpoint, _ progress: any ProgressReporter
    ) {
        let size: String
        switch target {
        case .bytes(let limit) where checkpoint.files.reduce(0) { $0 + $1.byteCount } <= limit:
            size = ByteCount.human(checkpoint.byteCount)
        case .parameters(let limit) where checkpoint.parameterCount <= limit:
            size = "\(Quantity.grouped(checkpoint.parameterCount)) parameters"
        default: return
        }
        progress.log(
            .warning, "the checkpoint meets \(target) as it is, with \(size); what this takes away is lost for nothing")
    }

    private static func plan(
        _ path: String, of checkpoint: Checkpoint, _ request: CompressionRequest
    ) throws -> CompressionPlan {
        do {
            let file = try PlanFile(parsing: try JSON.parse(file: path))
            return try file.plan(for: checkpoint, factorType: request.factorType) {
                var settings = request.settings
                settings.storage = $1
                settings.values = $2
                return try method($0, settings)
            }
        } catch let error as CompressionError {
            throw JobError.badInput("the plan cannot be obeyed: \(error)", file: path)
        } catch let error as PlanningError {
            throw JobError.badInput("\(error)", file: path)
        }
    }

    private static func method(_ name: String, _ settings: MethodSettings) throws -> PlannedMethod {
        PlannedMethod(try MethodRegistry.compressor(name, settings), settings)
    }

    private static func division(of plan: CompressionPlan, _ shard: Shard?) -> [Int] {
        shard.map { ShardDivision(of: plan, into: $0.count).parts } ?? []
    }

    /// The groups that this run compresses: all, or those of its part.
    var ownGroups: [PlannedGroup] {
        guard let shard else { return plan.groups }
        return zip(plan.groups, division).filter { $1 == shard.index }.map(\.0)
    }

    private var ownModules: [PlannedModule] { ownGroups.flatMap(\.modules) }

    /// Room for the output, and for the finished modules that no shard has taken yet; without known ranks, for the
    /// dense sizes.
    var neededBytes: Int {
        get throws {
            if shard != nil { return 2 * moduleBytes }
            let beside = isInOrder ? ShardStream.unitBytes(maximumShardBytes: maximumShardBytes) : .max
            return try outputBytes + min(moduleBytes, beside)
        }
    }

    /// Whether matrices are compressed in the order in which shards take them.
    private var isInOrder: Bool {
        let names = plan.modules.map(\.module.name), selected = Set(names)
        return checkpoint.compressibleModules.map(\.name).filter(selected.contains) == names
    }

    /// Room for the output.
    var outputBytes: Int {
        get throws {
            try plan.isKnownFromShapes ? OutputInventory(checkpoint).fileBytes(of: plan) : checkpoint.byteCount
        }
    }

    /// Room for the finished modules.
    var moduleBytes: Int {
        ownModules.reduce(0) { total, planned in
            let dense = planned.module.parameters * planned.member.factorType.bytes
            return total + (planned.size.map { size in size.keptDense == nil ? size.bytes : 0 } ?? dense)
        }
    }

    /// One line a matrix, and what the plan comes to.
    public func table(width: Int = 80) -> String {
        var table = TextTable([.left("matrix", shrinks: true), .right("shape"), .left("stored as"), .right("numbers")])
        for planned in ownModules {
            table.add([
                planned.module.name, "\(planned.module.outFeatures)×\(planned.module.inFeatures)",
                Self.storage(of: planned),
                planned.size.map { Quantity.grouped(Self.parameters(of: planned, $0)) } ?? "?",
            ])
        }
        return table.text(width: width)
    }

    /// The table, and the totals where they are known.
    public func text() throws -> String {
        var text = table()
        if let totals = try totals() {
            let kept = Double(totals.selected) / Double(max(totals.selectedDense, 1))
            text += "\n\(plan.modules.count) matrices to \(Quantity.percent(kept)) of their parameters "
                + "(\(plan.target)); whole model \(Quantity.grouped(totals.parameters)) parameters, "
                + "\(ByteCount.exact(totals.fileBytes)) of weight files\n"
        } else {
            text += "\n\(plan.modules.count) matrices; ranks follow from their spectra (\(plan.target))\n"
        }
        if let shard { text += "part \(shard): \(ownModules.count) of these matrices, listed above\n" }
        return text
    }

    /// Totals of the plan; nil where ranks depend on the weights.
    public func totals() throws -> (selected: Int, selectedDense: Int, parameters: Int, fileBytes: Int)? {
        guard plan.isKnownFromShapes else { return nil }
        let inventory = try OutputInventory(checkpoint)
        return (
            inventory.parameters(ofSelected: plan), plan.modules.reduce(0) { $0 + $1.module.parameters },
            inventory.parameters(of: plan), try inventory.fileBytes(of: plan)
        )
    }

    /// plan.json.
    public func json() throws -> JSON { try plan.file(for: checkpoint) }

    private static func storage(of planned: PlannedModule) -> String {
        guard let size = planned.size else { return "rank by its spectrum" }
        if size.keptDense != nil { return planned.member.stored.map { "rank \($0.rank), as it is" } ?? "dense" }
        if let rank = size.entry["rank"]?.int { return "rank \(rank)" }
        let ranks = size.entry["ranks"]?.array?.compactMap { $0.int.map(String.init) } ?? []
        return ranks.isEmpty ? size.schema ?? "" : "ranks " + ranks.joined(separator: " × ")
    }

    private static func parameters(of planned: PlannedModule, _ size: PlannedSize) -> Int {
        size.keptDense == nil ? size.parameters : planned.module.storedParameters
    }
}
