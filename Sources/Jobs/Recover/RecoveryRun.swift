import CommandLineKit
import CompressionCore
import MatrixCore
import Models
import Safetensors

/// The stages of a recovery, one after the other, with what is finished in the journal.
struct RecoveryRun {
    struct Result {
        var layers: TrainedLayers
        var stages: [RecoveryReport.Stage] = []
        var changes: [LayerRecovery.Change] = []
    }

    private let plan: RecoveryPlan
    private let request: RecoveryRequest
    private let journal: Journal
    private let units: RecoveryUnits
    private let progress: any ProgressReporter
    private let interruption: Interruption

    init(
        _ plan: RecoveryPlan, _ request: RecoveryRequest, _ journal: Journal, _ progress: any ProgressReporter,
        _ interruption: Interruption
    ) throws {
        self.plan = plan
        self.request = request
        self.journal = journal
        self.progress = progress
        self.interruption = interruption
        units = RecoveryUnits(journal: journal)
    }

    func run() throws -> Result {
        var result = Result(layers: try TrainedLayers(plan.layers))
        if request.stages.contains(.layers) || request.stages.contains(.blocks) { try recoverBlocks(&result) }
        if request.stages.contains(.network) { try recoverNetwork(&result) }
        return result
    }

    // MARK: Block by block

    private func recoverBlocks(_ result: inout Result) throws {
        let sequences = plan.text.training.count
        let epochs = request.stages.contains(.blocks) ? request.training.blockEpochs : 1
        let finished = try plan.modules.indices.prefix { try units.finished(Self.unit($0)) != nil }
        for layer in finished {
            guard let earlier = try units.finished(Self.unit(layer)) else { continue }
            try read(earlier.record, layer, &result)
            try result.layers.merge(earlier.tensors)
        }
        if finished.count == plan.modules.count { return }
        progress.begin(
            ProgressStage(
                "recover blocks", total: plan.modules.count * epochs * sequences, unit: .items("sequences"),
                alreadyDone: finished.count * epochs * sequences))
        let states = try RecoveryStates(plan.text, plan.dense, journal, interruption)
        let shared = plan.sharedByBlocks
        for (layer, modules) in plan.modules.enumerated() {
            try states.computeTarget(interruption)
            if layer >= finished.count { try recover(layer, modules, shared, states, &result) }
            if layer + 1 < plan.modules.count { try states.advance(try network(result.layers), interruption) }
        }
        progress.end()
    }

    private static func unit(_ layer: Int) -> String { "block-\(layer)" }

    private func recover(
        _ layer: Int, _ modules: [String], _ shared: Set<String>, _ states: RecoveryStates, _ result: inout Result
    ) throws {
        var own = try TrainedLayers(
            plan.layers.filter { modules.contains($0.key) }, frozen: shared)
        var changes: [LayerRecovery.Change] = []
        if request.stages.contains(.layers) {
            let whole = result.layers
            changes = try LayerRecovery(
                dense: plan.dense, layer: layer, text: plan.text, states: states,
                network: { (block) throws in
                    var layers = whole
                    try layers.merge(block.tensors)
                    return try network(layers)
                }, weight: plan.weight
            ).run(&own, interruption)
        }
        var losses: [Double] = []
        if request.stages.contains(.blocks), !own.tensors.isEmpty {
            losses = try BlockRecovery(
                model: plan.model, layer: layer, text: plan.text, states: states, settings: request.training
            ).run(&own, progress, interruption)
        } else {
            progress.advance(by: plan.text.training.count, "block \(layer)")
        }
        let record: JSON = [
            "losses": .array(losses.map { JSON($0) }),
            "matrices": .array(
                changes.map { ["name": JSON($0.module), "before": JSON($0.before), "after": JSON($0.after)] }),
        ]
        try units.finish(Self.unit(layer), own.tensors, record: record)
        try read(record, layer, &result)
        try result.layers.merge(own.tensors)
    }

    /// What a finished block says of itself.
    private func read(_ record: JSON, _ layer: Int, _ result: inout Result) throws {
        let losses = record["losses"]?.array?.map { $0.double ?? .infinity } ?? []
        if !losses.isEmpty { result.stages.append(RecoveryReport.Stage(name: "blocks", layer: layer, losses: losses)) }
        for matrix in record["matrices"]?.array ?? [] {
            guard let name = matrix["name"]?.string, let before = matrix["before"]?.double,
                let after = matrix["after"]?.double
            else { continue }
            result.changes.append(LayerRecovery.Change(module: name, before: before, after: after))
        }
    }

    // MARK: All together

    private func recoverNetwork(_ result: inout Result) throws {
        let name = "network", epochs = request.training.epochs
        let earlier = try units.state(name, like: result.layers, epochs: epochs)
        progress.begin(
            ProgressStage(
                "recover network", total: epochs * plan.text.training.count, unit: .items("sequences"),
                alreadyDone: (earlier?.epoch ?? 0) * plan.text.training.count))
        let recovery = NetworkRecovery(
            model: plan.model, dense: plan.dense, text: plan.text, settings: request.training, modules: plan.modules)
        let losses = try recovery.run(&result.layers, from: earlier, progress, interruption) {
            try units.save($0, name)
        }
        progress.end()
        result.stages.append(RecoveryReport.Stage(name: name, layer: nil, losses: losses))
    }

    /// The model with the numbers as they are now.
    private func network(_ layers: TrainedLayers) throws -> Model {
        var operators: [String: any LinearOperator] = [:]
        for module in layers.modules { operators[module] = layers.layer(module) }
        return try Model(plan.checkpoint, library: MethodRegistry.library, replacing: operators)
    }
}
