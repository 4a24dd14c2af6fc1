import MatrixCore

/// What a benchmark can time.
public enum BenchmarkOperation: String, Sendable, CaseIterable {
    /// c (m × n) ← a (m × k) · b (k × n)
    case gemm
    /// c (m × m) ← a (m × k) · aᵀ in Float64, both triangles
    case syrk
    /// y (m) ← a (m × k) · x (k)
    case gemv
    /// Exact top-k triplets of a (m × n)
    case svd
    /// All eigenvalues and the vectors of the k largest of a symmetric matrix (n × n) in Float64
    case eigen
}

/// One operation on one shape.
public struct BenchmarkCase: Sendable, Equatable {
    public let operation: BenchmarkOperation
    public let m: Int
    public let n: Int
    public let k: Int
    /// How a is stored (gemm: a and b; eigen: always Float64).
    public let type: ElementType

    /// - Parameter sides: gemm m, n, k; syrk m, k; gemv m, k; svd m, n and the rank; eigen n and the number of vectors.
    ///   One side alone stands for a square or a cube, and for half the spectrum.
    /// - Returns: nil where the sides do not fit the operation.
    public init?(_ operation: BenchmarkOperation, sides: [Int], type: ElementType) {
        guard let first = sides.first, sides.allSatisfy({ $0 > 0 }) else { return nil }
        self.operation = operation
        self.type = operation == .eigen ? .float64 : type
        let count = sides.count
        switch operation {
        case .gemm where count == 1 || count == 3:
            (m, n, k) = count == 1 ? (first, first, first) : (first, sides[1], sides[2])
        case .syrk where count <= 2:
            (m, n, k) = (first, first, sides[count - 1])
        case .gemv where count <= 2:
            (m, n, k) = (first, 1, sides[count - 1])
        case .svd where count <= 3:
            (m, n) = (first, count == 1 ? first : sides[1])
            k = count == 3 ? sides[2] : (min(m, n) + 1) / 2
            guard k <= min(m, n) else { return nil }
        case .eigen where count <= 2:
            (m, n, k) = (first, first, count == 2 ? sides[1] : (first + 1) / 2)
            guard k <= n else { return nil }
        default:
            return nil
        }
    }

    /// Operations by the usual count. Of the decompositions, those of the route that is taken by default: the Gram
    /// matrix, 4/3 n³ for the reduction, 2 n² k for the vectors, and the product that gives the other factor.
    var operations: Double {
        let (m, n, k) = (Double(m), Double(n), Double(k))
        let short = min(m, n)
        return switch operation {
        case .gemm: 2 * m * n * k
        case .syrk: m * (m + 1) * k
        case .gemv: 2 * m * k
        case .svd: m * n * short + 4 / 3 * short * short * short + 2 * short * short * k + 2 * m * n * k
        case .eigen: 4 / 3 * n * n * n + 2 * n * n * k
        }
    }

    /// Bytes of the matrix, which a product with one vector reads once.
    var matrixBytes: Double { Double(m * k * type.bytes) }

    /// What bounds the operation.
    var isBoundByMemory: Bool { operation == .gemv }

    /// What the arithmetic is done in.
    var arithmetic: ElementType {
        switch operation {
        case .gemm, .gemv: type == .float64 ? .float64 : .float32
        case .syrk, .svd, .eigen: .float64
        }
    }
}
