import Checkpoints
import CommandLineKit
import CompressionCore
import Kernels
import MatrixCore
import Planning
import Safetensors

/// Writes the difference of two checkpoints, A − B, as an adapter that PEFT adds to B.
///
/// Both may be dense or compressed in any schema. Every selected linear layer gets an adapter of its own rank; those of
/// experts go into the stacks that transformers 5 holds them in (`AdapterContent`). Tensors that are no linear layer
/// are left out. Memory holds two matrices and the adapter.
///
/// Where no matrix differs there is no adapter: PEFT refuses one without a target (`inject_adapter`: "No modules were
/// targeted") and one of rank 0. mergekit writes factors of zeros then, as many numbers as the rank asks for.
///
/// - Source: the layout is that of PEFT 0.17, of experts that of 0.21; taking the best approximation of the difference
///   is what mergekit-extract-lora does, with one rank for all.
public struct AdapterJob: Sendable {
    public var model: String
    public var base: String
    public var output: String
    public var rank: AdapterRank
    public var selection: ModuleSelection
    /// Type of the adapter's numbers; nil for that of each weight of A.
    public var type: ElementType?
    public var force: Bool

    public init(
        model: String, base: String, output: String, rank: AdapterRank, selection: ModuleSelection = ModuleSelection(),
        type: ElementType? = nil, force: Bool = false
    ) {
        self.model = model
        self.base = base
        self.output = output
        self.rank = rank
        self.selection = selection
        self.type = type
        self.force = force
    }

    /// - Throws: `JobError.badInput` where no selected matrix differs.
    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> AdapterResult {
        let request = OutputRequest(output, inputs: [model, base], force: force)
        try request.validate()
        return try StagedOutput.write(request, resumable: nil) {
            guard let result = try write(to: $0.path, progress, interruption) else {
                throw JobError.badInput(
                    "every selected matrix is the same as in \(base), so there is nothing to write an adapter of; give "
                        + "the checkpoint that was changed, and the one before", file: model)
            }
            return result
        }
    }

    /// Fills a folder that exists.
    /// - Returns: nil, and nothing is written, where no selected matrix differs.
    func write(
        to folder: String, _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws -> AdapterResult? {
        let a = try Checkpoint(path: model)
        let b = try Checkpoint(path: base)
        let weights = (a: Originals(a), b: Originals(b))
        let source = a.isCompressed ? b : a
        let targets = AdapterTargets(source)
        let chosen = try chosen(try selection.modules(of: source), targets, source, progress)
        var result = AdapterResult()
        var content = AdapterContent()
        progress.begin(ProgressStage("extract", total: chosen.count, unit: .items("matrices")))
        for (module, target) in chosen {
            try interruption.check()
            let difference = try Failure.naming(file: model, tensor: module.weightName) {
                try self.difference(module, weights.a, weights.b)
            }
            if let difference {
                content.add(difference, to: target)
                result.add(module, difference)
            } else {
                result.unchanged += 1
            }
            weights.a.dropPages(of: module.name)
            weights.b.dropPages(of: module.name)
            progress.advance(by: 1, module.name)
        }
        content.finish(experts: targets.experts)
        progress.end()
        try warnOfOthers(a, b, chosen.map(\.module), progress)
        if content.tensors.isEmpty { return nil }
        result.parameters = content.tensors.reduce(0) { $0 + $1.tensor.elementCount }
        try save(content.tensors, to: folder + "/adapter_model.safetensors")
        let config = AdapterConfig(content: content, base: b.isCompressed ? nil : base, model: a)
        try AtomicFile.write(config.json.text(pretty: true), to: folder + "/adapter_config.json")
        return result
    }

    /// The modules whose places in transformers are known.
    private func chosen(
        _ modules: [LinearModule], _ targets: AdapterTargets, _ source: Checkpoint, _ progress: any ProgressReporter
    ) throws -> [(module: LinearModule, target: AdapterTarget)] {
        let chosen = modules.compactMap { module in targets.target(of: module).map { (module: module, target: $0) } }
        let left = modules.count - chosen.count
        if left == 0 { return chosen }
        let family = source.modelType ?? "model without model_type"
        let reason = "how transformers stacks the experts of a \(family) is not known here, and PEFT adapts the stacks"
        if chosen.isEmpty { throw JobError.usage("only matrices of experts are selected, and \(reason)") }
        progress.log(.warning, "\(left) matrices of experts are left out: \(reason)")
        return chosen
    }

    private func difference(
        _ module: LinearModule, _ a: Originals, _ b: Originals
    ) throws -> LowRankDifference? {
        guard let target = try a.weight(of: module.name), let base = try b.weight(of: module.name) else {
            throw JobError.badInput(
                "\(module.name) is in only one of the checkpoints; both must be of one architecture",
                file: base, tensor: module.name)
        }
        guard target.rows == base.rows, target.columns == base.columns else {
            throw JobError.badInput(
                "\(module.name) is \(target.rows) × \(target.columns) in one and \(base.rows) × \(base.columns) in the "
                    + "other",
                file: self.base, tensor: module.name)
        }
        return try LowRankDifference(target, base, rank: rank, type: type ?? module.dtype.elementType ?? .float32)
    }

    /// What differs and is not in the adapter: embeddings, norms, heads.
    private func warnOfOthers(
        _ a: Checkpoint, _ b: Checkpoint, _ modules: [LinearModule], _ progress: any ProgressReporter
    ) throws {
        let covered = Set(modules.map(\.weightName))
        let others = try a.tensors.filter { tensor in
            guard !covered.contains(tensor.name), let twin = b.tensor(named: tensor.name) else { return false }
            let first = try a.bytes(of: tensor.name)
            let second = try b.bytes(of: twin.name)
            defer { a.dropPages(of: tensor.name) }
            return tensor.dtype != twin.dtype || tensor.shape != twin.shape
                || !first.withUnsafeBytes { left in second.withUnsafeBytes { left.elementsEqual($0) } }
        }
        guard let first = others.first else { return }
        progress.log(
            .warning, "\(others.count) other tensors differ and are not in the adapter, the first is \(first.name)")
    }

    private func save(_ tensors: [(name: String, tensor: StoredTensor)], to path: String) throws {
        let writer = try SafetensorsWriter(
            path: path,
            tensors: tensors.map { TensorDeclaration(name: $0.name, dtype: $0.tensor.dtype, shape: $0.tensor.shape) })
        for (name, tensor) in tensors {
            try tensor.withUnsafeBytes { try writer.append($0, to: name) }
        }
        try writer.finish()
    }
}
