import KernelContract
import MatrixCore

/// c ← alpha · a · b + beta · c, for any storage formats and strides.
///
/// Whatever a thread count is, every element of c is the sum of the same products in the same order: pieces of work
/// split c, and the depth is cut in the same places always.
struct Product {
    /// a (rows × depth)
    var a: MatrixOperand
    /// b (depth × columns)
    var b: MatrixOperand
    /// c (rows × columns), float32 or float64; the arithmetic is done in its type.
    var c: MutableMatrixOperand
    var alpha: Double
    /// Where it is 0, c is not read.
    var beta: Double
    /// The part of c that is computed; the rest is neither read nor written.
    var region = Region.all

    enum Region {
        case all, lower, upper

        var transposed: Region {
            switch self {
            case .all: .all
            case .lower: .upper
            case .upper: .lower
            }
        }

        /// As it crosses the border to the kernels.
        var code: Int {
            switch self {
            case .all: BlockProduct.all
            case .lower: BlockProduct.lower
            case .upper: BlockProduct.upper
            }
        }
    }

    /// The same product written as cᵀ = bᵀ · aᵀ.
    var transposed: Product {
        Product(a: b.transposed, b: a.transposed, c: c.transposed, alpha: alpha, beta: beta, region: region.transposed)
    }

    func run(_ set: InstructionSet = .active) {
        precondition(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes do not fit")
        if c.rows == 0 || c.columns == 0 { return }
        if MatrixVectorProduct.fits(self) {
            return MatrixVectorProduct(self, set).run()
        }
        if MatrixVectorProduct.fits(transposed) {
            return MatrixVectorProduct(transposed, set).run()
        }
        // The micro-kernel writes along the rows of c.
        let oriented = c.columnStride != 1 && c.rowStride == 1 ? transposed : self
        BlockedProduct(oriented, set).run()
    }
}
