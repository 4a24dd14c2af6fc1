import Kernels
import MatrixCore

/// Sums over the tokens x of an input, from which every activation-aware objective is made.
///
///     Σ x xᵀ (n × n),   Σ |x| (n),   Σ ‖x‖⁴,   the number of tokens
///
/// All are sums, so that those of two texts are added. They are accumulated in Double, in the order of the tokens, and
/// are the same for any number of threads.
///
/// - Cost: n² operations in Double a token, at the rate of a product; memory n² numbers.
public final class InputMoments {
    /// n.
    public let features: Int
    public private(set) var tokens: Int
    /// Σ x xᵀ (n × n); above the diagonal undefined.
    private var lower: Matrix64
    /// Σ |x| (n)
    public private(set) var absoluteSums: [Double]
    /// Σ ‖x‖⁴, by which the sampling error of Σ x xᵀ is estimated (see `Shrinkage`).
    public private(set) var fourthPowerSum: Double

    public init(features: Int) {
        self.features = features
        tokens = 0
        lower = Matrix64(rows: features, columns: features)
        absoluteSums = [Double](repeating: 0, count: features)
        fourthPowerSum = 0
    }

    /// - Parameter lower: (n × n); only its lower triangle is read.
    init(lower: Matrix64, absoluteSums: [Double], fourthPowerSum: Double, tokens: Int) {
        features = absoluteSums.count
        self.lower = lower
        self.absoluteSums = absoluteSums
        self.fourthPowerSum = fourthPowerSum
        self.tokens = tokens
    }

    /// Bytes that the sums of an input take in memory.
    public static func bytes(features: Int) -> Int { 8 * features * (features + 1) }

    /// Row i of the lower triangle: i + 1 numbers.
    func row(_ i: Int) -> MatrixOperand {
        MatrixOperand(lower.view.block(rows: i..<i + 1, columns: 0..<i + 1))
    }

    /// Σ x xᵀ with both triangles.
    public var moment: Matrix64 {
        var full = lower
        mirrorLower(full.mutableView())
        return full
    }

    // MARK: Adding

    /// Adds tokens x (tokens × n).
    public func add(_ x: MatrixView<Float>) {
        precondition(x.columns == features, "tokens of another layer")
        guard x.rows > 0 else { return }
        let rows = MatrixOperand(x)
        multiplyTriangle(rows.transposed, rows, .lower, into: lower.mutableView(), beta: 1)
        addAbsolutes(x)
        addFourthPowers(x)
        tokens += x.rows
    }

    /// Adds the sums of other tokens.
    public func add(_ other: InputMoments) {
        precondition(other.features == features, "sums of another layer")
        let target = lower.mutableView(), source = other.lower.view
        for i in 0..<features {
            for j in 0...i { target[i, j] += source[i, j] }
            absoluteSums[i] += other.absoluteSums[i]
        }
        fourthPowerSum += other.fourthPowerSum
        tokens += other.tokens
    }

    /// Threads share the features; each is summed token by token.
    private func addAbsolutes(_ x: MatrixView<Float>) {
        let width = 128
        let sums = AlignedBuffer<Double>(uninitializedCount: features)
        for (index, sum) in absoluteSums.enumerated() { sums.base[index] = sum }
        parallelFor((features + width - 1) / width) { [features] block in
            let columns = block * width..<min((block + 1) * width, features)
            for row in 0..<x.rows {
                let token = x.base + row * x.rowStride
                for column in columns { sums.base[column] += Double(abs(token[column])) }
            }
        }
        for index in absoluteSums.indices { absoluteSums[index] = sums.base[index] }
    }

    private func addFourthPowers(_ x: MatrixView<Float>) {
        let powers = AlignedBuffer<Double>(uninitializedCount: x.rows)
        let rowsPerPiece = 64
        parallelFor((x.rows + rowsPerPiece - 1) / rowsPerPiece) { piece in
            for row in piece * rowsPerPiece..<min((piece + 1) * rowsPerPiece, x.rows) {
                let token = x.base + row * x.rowStride
                var square = 0.0
                for column in 0..<x.columns { square += Double(token[column]) * Double(token[column]) }
                powers.base[row] = square * square
            }
        }
        for row in 0..<x.rows { fourthPowerSum += powers.base[row] }
    }
}
