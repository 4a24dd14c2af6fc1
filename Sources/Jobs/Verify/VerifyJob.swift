import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Kernels
import MatrixCore
import Safetensors

/// Recomputes every error of a compressed folder from the two folders alone and holds it against its report.
///
/// Every compressed matrix is reconstructed and compared with the source; every other tensor must be the same, byte for
/// byte. Nothing that the compression computed is believed.
public struct VerifyJob: Sendable {
    public var output: String
    public var checkpoint: String
    /// Largest difference between an error found and the one reported, absolute and relative.
    public var tolerance: Double

    public init(output: String, checkpoint: String, tolerance: Double = 1e-6) {
        self.output = output
        self.checkpoint = checkpoint
        self.tolerance = tolerance
    }

    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> Verification {
        let compressed = try Checkpoint(path: output)
        let source = try Checkpoint(path: checkpoint)
        guard compressed.isCompressed || FileManager.default.fileExists(atPath: output + "/report.json") else {
            throw JobError.badInput(
                "\(output) is not a compressed checkpoint: it has neither a report.json nor low_rank_format_version",
                file: output)
        }
        let report = try JSON.parse(file: output + "/report.json")
        var verification = Verification(tolerance: tolerance)
        var reported: [String: Double] = [:]
        for tensor in report["tensors"]?.array ?? [] where tensor["schema"]?.string != DenseOperator.schema {
            guard let name = tensor["name"]?.string, let error = tensor["relative_error"]?.double else { continue }
            reported[name] = error
        }
        let originals = Originals(source)
        progress.begin(
            ProgressStage("verify", total: compressed.compressedModules.count, unit: .items("matrices")))
        for module in compressed.compressedModules {
            try interruption.check()
            guard let weight = try originals.weight(of: module.name) else {
                verification.problems.append("\(module.name) is compressed, but the source has no such layer")
                continue
            }
            let found = try error(of: module, in: compressed, against: weight)
            let stated = reported.removeValue(forKey: originals.reportName(of: module.name))
            if stated == nil, originals.isCompressed(module.name) {
                // Compressed before, and not selected this time.
                verification.compareUnselected("\(module.name).weight", found: found)
            } else {
                verification.compare("\(module.name).weight", found: found, reported: stated)
            }
            originals.dropPages(of: module.name)
            progress.advance(by: 1, module.name)
        }
        for name in reported.keys.sorted() {
            verification.problems.append("\(name) is reported, but the folder has no such layer")
        }
        try compareOthers(compressed, source, &verification)
        progress.end()
        return verification
    }

    private func error(
        of module: CompressedModule, in compressed: Checkpoint, against weight: MatrixOperand
    ) throws -> Double {
        let stored = try compressed.compressedOperator(of: module)
        guard stored.outFeatures == weight.rows, stored.inFeatures == weight.columns else {
            throw JobError.badInput(
                "the layer is \(stored.outFeatures) × \(stored.inFeatures); the source has "
                    + "\(weight.rows) × \(weight.columns)", file: output, tensor: module.name)
        }
        return relativeError(of: weight, replacedBy: stored)
    }

    /// Tensors that were not compressed must be those of the source.
    private func compareOthers(
        _ compressed: Checkpoint, _ source: Checkpoint, _ verification: inout Verification
    ) throws {
        let modules = Dictionary(uniqueKeysWithValues: compressed.compressedModules.map { ($0.name, $0) })
        var originalNames: [String: String] = [:]
        for module in source.compressibleModules {
            guard let entry = modules[module.name], let bias = module.biasName,
                let name = MethodRegistry.library.biasName(of: module.name, schema: entry.schema)
            else { continue }
            originalNames[name] = bias
        }
        for tensor in compressed.tensors where tensor.role != .shared {
            let isBias = originalNames[tensor.name] != nil
            if modules[tensor.module] != nil && !isBias { continue }
            let name = originalNames[tensor.name] ?? tensor.name
            if try slice(tensor, of: source).map({ try isSame(tensor, in: compressed, as: $0, in: source) })
                ?? isSame(tensor.name, in: compressed, as: name, in: source)
            {
                verification.unchangedTensors += 1
            } else {
                verification.problems.append("\(tensor.name) is not the tensor \(name) of the source")
            }
        }
    }

    /// The slice of a stack that a tensor was written for.
    private func slice(_ tensor: CheckpointTensor, of source: Checkpoint) -> LinearModule? {
        source.linearModules.first { $0.slice != nil && "\($0.name).weight" == tensor.name }
    }

    private func isSame(
        _ tensor: CheckpointTensor, in compressed: Checkpoint, as module: LinearModule, in source: Checkpoint
    ) throws -> Bool {
        let ours = try compressed.operand(of: tensor.name), theirs = try source.operand(of: module)
        return ours.rows == theirs.rows && ours.columns == theirs.columns && sumOfSquaredDifferences(ours, theirs) == 0
    }

    private func isSame(
        _ name: String, in compressed: Checkpoint, as original: String, in source: Checkpoint
    ) throws -> Bool {
        guard let ours = compressed.tensor(named: name), let theirs = source.tensor(named: original),
            ours.dtype == theirs.dtype, ours.shape == theirs.shape
        else { return false }
        defer {
            compressed.dropPages(of: name)
            source.dropPages(of: original)
        }
        let a = try compressed.bytes(of: name), b = try source.bytes(of: original)
        return a.withUnsafeBytes { a in b.withUnsafeBytes { b in a.elementsEqual(b) } }
    }
}

/// The layers of the source as matrices, in whatever form it has them: it may be compressed itself.
struct Originals {
    private let source: Checkpoint
    private let dense: [String: LinearModule]
    private let compressed: [String: CompressedModule]

    init(_ source: Checkpoint) {
        self.source = source
        dense = Dictionary(uniqueKeysWithValues: source.linearModules.map { ($0.name, $0) })
        compressed = Dictionary(uniqueKeysWithValues: source.compressedModules.map { ($0.name, $0) })
    }

    func isCompressed(_ module: String) -> Bool { compressed[module] != nil }

    func reportName(of module: String) -> String { dense[module]?.reportName ?? "\(module).weight" }

    /// nil where the source has no such layer.
    func weight(of module: String) throws -> MatrixOperand? {
        if let dense = dense[module] { return try source.operand(of: dense) }
        return try compressed[module].map { MatrixOperand(try source.compressedOperator(of: $0).reconstruct()) }
    }

    func dropPages(of module: String) {
        if let dense = dense[module] { source.dropPages(of: dense) }
    }
}
