import Checkpoints
import CompressionCore
import Foundation
import Safetensors

/// The spectra of matrices in the metric of an objective, computed once and used again.
///
/// They are kept while a command runs, so that the points of a sweep share them, and in a file for later commands. The
/// file is safetensors: `<m>.squared_spectrum` F64 [min(out, in)] has the σ² of a module, descending; the metadata says
/// of which model, in which metric and by which route. Spectra of anything else are refused.
final class SpectraCache {
    private static let version = "1"
    private static let suffix = ".squared_spectrum"

    private let request: CompressionRequest.Spectra?
    private let metadata: [String: String]
    private var known: [String: [Double]] = [:]
    private var isChanged = false

    /// Reads the file that a request names.
    /// - Throws: `JobError.badInput` where it has something else; what is wrong with a file that is missing or broken.
    init(_ request: CompressionRequest, of checkpoint: Checkpoint) throws {
        self.request = request.spectra
        var metadata = ["spectra_version": Self.version, "model_fingerprint": try checkpoint.fingerprint()]
        metadata["objective"] = request.objective.effectiveKind.rawValue
        metadata["accuracy"] = request.accuracy
        for (name, path) in [("statistics", request.objective.statistics), ("fisher", request.objective.fisher)] {
            metadata[name] = try path.map { try InputFingerprint(of: $0).contentDigest } ?? "none"
        }
        self.metadata = metadata
        guard let file = request.spectra else { return }
        if file.isWritten, try FileSystem.entry(at: file.path) == nil { return }
        try read(file.path)
    }

    private func read(_ path: String) throws {
        let file = try SafetensorsFile(path: path)
        for name in metadata.keys.sorted() where file.metadata[name] != metadata[name] {
            let found = file.metadata[name] ?? "nothing"
            throw JobError.badInput(
                "these are other spectra: \(name) is \(found), expected \(metadata[name] ?? "")", file: path)
        }
        for tensor in file.tensors where tensor.name.hasSuffix(Self.suffix) {
            guard tensor.dtype == .f64, tensor.shape.count == 1 else {
                throw JobError.badInput("a spectrum should be F64 and have one axis", file: path, tensor: tensor.name)
            }
            let values = try file.bytes(of: tensor.name).array(of: Double.self)
            guard values.allSatisfy({ $0.isFinite && $0 >= 0 }), zip(values, values.dropFirst()).allSatisfy(>=) else {
                throw JobError.badInput("a spectrum should be finite and descending", file: path, tensor: tensor.name)
            }
            known[String(tensor.name.dropLast(Self.suffix.count))] = values
        }
    }

    /// The loss of a module at every rank; nil where the method has no such curve.
    ///
    /// - Parameters:
    ///   - choosingRank: a rank to truncate the module to at once, by its curve; nil where none is wanted.
    ///   - task: the module with its weight, which is not read where the spectrum is known and no rank wanted.
    func curve(
        of member: GroupMember, by compressor: any Compressor, choosingRank: (LossCurve) -> Int?,
        task: () throws -> CompressionTask
    ) throws -> (curve: LossCurve, truncated: CompressionOutcome?)? {
        if let squares = known[member.module] {
            guard squares.count == min(member.outFeatures, member.inFeatures) else {
                throw JobError.badInput(
                    "a spectrum of \(squares.count) values; \(member.module) is \(member.outFeatures) × "
                        + "\(member.inFeatures)", file: request?.path, tensor: member.module + Self.suffix)
            }
            guard let curve = compressor.curve(of: member, squaredSpectrum: squares) else { return nil }
            return (curve, try choosingRank(curve).map { try compressor.compress([task()], budget: .rank($0))[0] })
        }
        guard let found = try compressor.curve(of: try task(), choosingRank: choosingRank) else { return nil }
        known[member.module] = found.curve.squaredSpectrum
        isChanged = true
        return found
    }

    /// Writes the file where that is asked for and it is not complete.
    func save() throws {
        guard let request, request.isWritten, isChanged else { return }
        let modules = known.keys.sorted()
        let writer = try SafetensorsWriter(
            path: request.path,
            tensors: modules.map {
                TensorDeclaration(name: $0 + Self.suffix, dtype: .f64, shape: [known[$0]?.count ?? 0])
            }, metadata: metadata)
        for module in modules {
            try (known[module] ?? []).withUnsafeBytes { try writer.append($0, to: module + Self.suffix) }
        }
        try writer.finish()
        isChanged = false
    }
}
