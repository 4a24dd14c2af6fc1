import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Kernels
import MatrixCore
import Models
import Safetensors

/// A recovery with both models open, its text cut, and everything that can be wrong checked.
struct RecoveryPlan {
    let checkpoint: Checkpoint
    let reference: Checkpoint
    let model: Model
    let dense: Model
    let text: RecoveryText
    /// report.json of the compressed folder; nil where it has none.
    let report: JSON?
    /// The compressed layers that are trained, by module.
    let layers: [String: any TrainableOperator]
    /// Their names, by block.
    let modules: [[String]]

    init(_ request: RecoveryRequest, _ progress: any ProgressReporter) throws {
        let (checkpoint, model) = try Self.open(request.checkpoint)
        let (reference, dense) = try Self.open(request.reference)
        for warning in checkpoint.warnings + reference.warnings { progress.log(.warning, "\(warning)") }
        guard !checkpoint.compressedModules.isEmpty else {
            throw JobError.badInput("nothing in it is compressed", file: request.checkpoint)
        }
        try Self.requireAlike((checkpoint, model), (reference, dense), request)
        self.checkpoint = checkpoint
        self.reference = reference
        self.model = model
        self.dense = dense
        (layers, modules) = try Self.layers(checkpoint, model)
        let left = checkpoint.compressedModules.count - layers.count
        if left > 0 { progress.log(.notice, "\(left) compressed matrices are in no block and stay as they are") }
        let empty = layers.values.count { $0.isZero }
        if empty > 0 {
            progress.log(
                .warning,
                "\(empty) of \(layers.count) compressed matrices are zero in all of their factors, as --control drop "
                    + "leaves them: no closed form and no gradient leads away from there, so they stay; "
                    + "--control noise and svd have numbers to recover")
        }
        let sequences = try request.source.sequences(
            folder: request.reference, model: dense, twin: request.checkpoint, progress
        ).sequences
        text = try RecoveryText(sequences, heldOut: request.training.heldOutShare)
        let path = request.checkpoint + "/report.json"
        report = FileManager.default.fileExists(atPath: path) ? try JSON.parse(file: path) : nil
    }

    private static func open(_ path: String) throws -> (Checkpoint, Model) {
        try Failure.naming(file: path, tensor: nil) {
            let checkpoint = try Checkpoint(path: path)
            return (checkpoint, try Model(checkpoint, library: MethodRegistry.library))
        }
    }

    private static func requireAlike(
        _ compressed: (Checkpoint, Model), _ dense: (Checkpoint, Model), _ request: RecoveryRequest
    ) throws {
        func form(_ checkpoint: Checkpoint, _ model: Model) -> String {
            "\(checkpoint.modelType ?? "") of \(model.description.layers) layers, width "
                + "\(model.description.hidden) and vocabulary \(model.vocabularySize)"
        }
        let (found, wanted) = (form(dense.0, dense.1), form(compressed.0, compressed.1))
        guard found == wanted else {
            throw JobError.badInput(
                "it is not the model that \(request.checkpoint) was made from: \(found), not \(wanted)",
                file: request.reference)
        }
    }

    private static func layers(
        _ checkpoint: Checkpoint, _ model: Model
    ) throws -> ([String: any TrainableOperator], [[String]]) {
        let compressed = Dictionary(uniqueKeysWithValues: checkpoint.compressedModules.map { ($0.name, $0) })
        var layers: [String: any TrainableOperator] = [:]
        var modules: [[String]] = []
        for layer in 0..<model.description.layers {
            let own = model.modules(ofLayer: layer).filter { compressed[$0] != nil }
            for module in own {
                guard let entry = compressed[module] else { continue }
                let stored = try checkpoint.compressedOperator(of: entry)
                guard let trainable = stored as? any TrainableOperator else {
                    throw JobError.badInput(
                        "\(module) is stored as \(entry.schema), which is not trained here", file: checkpoint.path,
                        tensor: module)
                }
                layers[module] = trainable
            }
            modules.append(own)
        }
        guard !layers.isEmpty else {
            throw JobError.badInput("no compressed matrix is in a block", file: checkpoint.path)
        }
        return (layers, modules)
    }

    /// Tensors that several blocks hold: they are trained with the whole network only.
    var sharedByBlocks: Set<String> {
        var first: [String: Int] = [:]
        var shared: Set<String> = []
        for (layer, names) in modules.enumerated() {
            for module in names {
                for tensor in layers[module]?.numbers ?? [] {
                    let name = tensor.fullName(in: module)
                    if first[name, default: layer] != layer { shared.insert(name) }
                    first[name] = layer
                }
            }
        }
        return shared
    }

    /// Hidden states around a block in both networks, the finished numbers with what their training needs, the output.
    var neededBytes: Int {
        let hidden = HiddenStates.bytes(tokens: text.tokens, hidden: model.description.hidden)
        let numbers = layers.values.reduce(0) { $0 + $1.parameters } * 4
        return 5 * hidden + 9 * numbers + checkpoint.byteCount
    }

    /// The weight of a module in the dense model (m × n).
    func weight(of module: String) throws -> MatrixOperand {
        if let dense = reference.linearModules.first(where: { $0.name == module && $0.factors == nil }) {
            return try reference.operand(of: dense)
        }
        guard let compressed = reference.compressedModules.first(where: { $0.name == module }) else {
            throw JobError.badInput("it has no layer \(module)", file: reference.path, tensor: module)
        }
        return MatrixOperand(try reference.compressedOperator(of: compressed).reconstruct())
    }

    /// Errors of the operators as they are written, and of rounding them.
    func errors(
        of operators: [String: any TrainableOperator], computed: TrainedLayers
    ) throws -> [(name: String, errors: RecoveryReport.Errors)] {
        let names = Dictionary(
            reference.linearModules.map { ($0.name, $0.reportName) }, uniquingKeysWith: { first, _ in first })
        return try modules.flatMap { $0 }.compactMap { module in
            guard let written = operators[module], let exact = computed.layer(module) else { return nil }
            let weight = try weight(of: module)
            let norm = sumOfSquares(weight)
            let rounding = sumOfSquaredDifferences(
                MatrixOperand(written.reconstruct()), MatrixOperand(exact.reconstruct()))
            return (
                names[module] ?? "\(module).weight",
                RecoveryReport.Errors(
                    relative: relativeError(of: weight, replacedBy: written),
                    rounding: norm > 0 ? (rounding / norm).squareRoot() : 0)
            )
        }
    }
}

extension TrainableOperator {
    /// Whether every number is zero: then each factor's gradient is zero for the others.
    fileprivate var isZero: Bool { numbers.allSatisfy { $0.tensor.operand().map { sumOfSquares($0) == 0 } ?? false } }
}
