import Checkpoints
import CommandLineKit
import CompressionCore
import Foundation
import Kernels
import MatrixCore
import Safetensors

/// Writes the dense checkpoint that a compressed folder stands for: the names, shapes and types of the source, so that
/// any loader takes it.
///
/// Weights are computed in Float and rounded to the type that the source had, or written as f32. Tensors that were not
/// compressed are copied. GPT-2's transposed weights are transposed again, slices of a stack are stacked again.
public struct ReconstructJob: Sendable {
    public enum Precision: String, Sendable, CaseIterable {
        /// The type of the source.
        case keep
        /// Every floating-point tensor in single precision.
        case f32
    }

    public var input: String
    public var output: String
    public var precision: Precision
    public var maximumShardBytes: Int
    public var force: Bool

    public init(
        input: String, output: String, precision: Precision = .keep,
        maximumShardBytes: Int = CompressionRequest.defaultShardBytes, force: Bool = false
    ) {
        self.input = input
        self.output = output
        self.precision = precision
        self.maximumShardBytes = maximumShardBytes
        self.force = force
    }

    /// - Returns: the number of bytes of tensors written.
    @discardableResult
    public func run(
        progress: any ProgressReporter = SilentProgress(), interruption: Interruption = .never
    ) throws -> Int {
        let request = OutputRequest(output, inputs: [input], force: force)
        try request.validate()
        let checkpoint = try Checkpoint(path: input)
        for warning in checkpoint.warnings { progress.log(.warning, "\(warning)") }
        let layout = try DenseLayout(checkpoint, precision: precision)
        try SpaceCheck.require(bytes: layout.byteCount, at: output)
        return try StagedOutput.write(request, resumable: nil) { staged in
            let writer = try CheckpointWriter(
                folder: staged.path, config: layout.config, tensors: layout.tensors.map(\.declaration),
                maximumShardBytes: maximumShardBytes)
            let origins = Dictionary(uniqueKeysWithValues: layout.tensors.map { ($0.declaration.name, $0) })
            progress.begin(ProgressStage("reconstruct", total: writer.names.count, unit: .items("tensors")))
            for name in writer.names {
                try interruption.check()
                guard let tensor = origins[name] else { preconditionFailure("a tensor that was not declared") }
                for matrix in tensor.parts { try write(matrix, of: tensor.declaration, checkpoint, to: writer) }
                progress.advance(by: 1, name)
            }
            try writer.finish()
            for file in try checkpoint.filesToCopy() where !LoaderFamily.isLoader(file) {
                let bytes = try OpenFile.contents(of: input + "/" + file)
                try StagedFile.write(bytes, as: file, in: staged.path)
            }
            progress.end()
            return writer.tensorBytes
        }
    }

    private func write(
        _ part: DenseLayout.Part, of declaration: TensorDeclaration, _ checkpoint: Checkpoint,
        to writer: CheckpointWriter
    ) throws {
        switch part {
        case .stored(let name):
            defer { checkpoint.dropPages(of: name) }
            let original = checkpoint.tensor(named: name)
            if original?.dtype == declaration.dtype {
                try writer.append(try checkpoint.bytes(of: name), to: declaration.name)
            } else if let original, let type = original.dtype.elementType, let target = declaration.dtype.elementType {
                let bytes = try checkpoint.bytes(of: name)
                let row = MatrixOperand(
                    base: bytes.base, type: type, rows: 1, columns: original.elementCount,
                    rowStride: original.elementCount, owner: bytes.owner)
                try writer.append(MatrixOperand(rounding: row, to: target), to: declaration.name)
            }
        case .compressed(let module):
            let weight = MatrixOperand(try checkpoint.compressedOperator(of: module).reconstruct())
            let oriented = module.isTransposed ? weight.transposed : weight
            guard let type = declaration.dtype.elementType else { preconditionFailure("weights are numbers") }
            try writer.append(MatrixOperand(rounding: oriented, to: type), to: declaration.name)
        }
    }
}

extension MatrixOperand {
    /// A copy in another type, row-major without gaps.
    fileprivate init(rounding source: MatrixOperand, to type: ElementType) {
        guard let copy = StoredTensor(source, as: type).operand() else { preconditionFailure("numbers stay numbers") }
        self = copy
    }
}
