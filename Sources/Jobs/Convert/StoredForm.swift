import Checkpoints
import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import SVDCompression
import Safetensors

/// What a compressed matrix will be stored as: two factors, or pivot rows, of the rank that it has.
struct StoredForm {
    let module: CompressedModule
    let storage: MethodSettings.Storage
    let type: ElementType
    let rank: Int
    /// m, n.
    let sides: (out: Int, in: Int)

    /// Below this share of the largest singular value there is only the rounding of Float.
    private static let noise = 3e-6

    /// - Returns: nil for a matrix that is not of low rank, such as a tensor train or a sparse one, and for one of a
    ///   rank so
    ///   high that the form would be no smaller than the matrix.
    init?(of module: CompressedModule, as storage: MethodSettings.Storage, in checkpoint: Checkpoint) throws {
        let stored = try checkpoint.compressedOperator(of: module)
        guard let type = stored.tensors.first(where: { !$0.isIndex })?.tensor.dtype.elementType else { return nil }
        self.module = module
        self.storage = storage
        self.type = type
        sides = (stored.outFeatures, stored.inFeatures)
        if let product = stored as? any FactoredOperator {
            rank = product.factors.rank
        } else {
            let spectrum = try TruncatedSVD().spectrum(MatrixOperand(stored.reconstruct()))
            rank = max(1, spectrum.count { $0 > Self.noise * (spectrum.first ?? 0) })
            guard rank * (sides.out + sides.in) < sides.out * sides.in else { return nil }
        }
        guard storage == .factors || rank < sides.out else { return nil }
    }

    var schema: String { storage == .factors ? FactorOperator.schema : PivotOperator.schema }

    /// Names behind the module's, types and shapes.
    var tensors: [TensorDeclaration] {
        let dtype = TensorDType(type)
        let name = module.name
        switch storage {
        case .factors:
            return [
                TensorDeclaration(name: "\(name).BLinear.weight", dtype: dtype, shape: [rank, sides.in]),
                TensorDeclaration(name: "\(name).ALinear.weight", dtype: dtype, shape: [sides.out, rank]),
            ]
        case .pivot:
            return [
                TensorDeclaration(name: "\(name).pivot.weight", dtype: dtype, shape: [rank, sides.in]),
                TensorDeclaration(name: "\(name).rest.weight", dtype: dtype, shape: [sides.out - rank, rank]),
                TensorDeclaration(name: "\(name).pivot.index", dtype: .i32, shape: [rank]),
            ]
        }
    }

    /// The matrix in its new form, and ‖W'_new − W'_old‖ / ‖W'_old‖.
    func converted(in checkpoint: Checkpoint) throws -> (form: any LinearOperator, change: Double) {
        let stored = try checkpoint.compressedOperator(of: module)
        let before = MatrixOperand(stored.reconstruct())
        let factors = try (stored as? any FactoredOperator)?.factors ?? self.factors(of: before)
        let form: any LinearOperator =
            storage == .factors
            ? StorageConversion.factors(factors, storedAs: type)
            : try StorageConversion.pivot(factors, storedAs: type)
        return (form, relativeError(of: before, replacedBy: form))
    }

    /// Factors of a matrix whose numerical rank is known, every component split evenly between them.
    private func factors(of matrix: MatrixOperand) throws -> Factors {
        let svd = try TruncatedSVD().decompose(matrix, rank: rank)
        let roots = svd.kept.map { Float($0.squareRoot()) }
        let left = Matrix(rows: sides.out, columns: rank) { svd.u[$0, $1] * roots[$1] }
        let right = Matrix(rows: rank, columns: sides.in) { roots[$0] * svd.v[$1, $0] }
        return Factors(left: MatrixOperand(left), right: MatrixOperand(right))
    }
}
