import Kernels
import MatrixCore

/// The Gram route.
///
/// G = AᵀA = V Λ Vᵀ, σ = √λ, and the other factor is A·V·diag(1/σ).
///
/// Rounding in G moves the captured energy Σ_{i≤k} λ_i by some ε·σ₁², so the squared error of the truncation is within
/// that of its optimum. Columns of A·V for σ below 2⁻¹¹·σ₁ are no longer orthogonal to Float's precision (their
/// cosines are ε·σ₁²/(σ_i σ_j)); those that are wanted are decomposed once more on their own (`GramPeeling`).
extension SVDProblem {
    /// Columns below this share of σ₁ are refined.
    private static var reliableShare: Double { 0x1p-11 }
    /// Rounding of the captured energy, in units of σ₁².
    private static var gramRounding: Double { 4 * Double.ulpOfOne }
    /// Error of an element of the Float product, in units of the norm of a row of A; 2.4e-8 is seen.
    private static var productRounding: Double { 5e-8 }

    /// - Parameter fallback: whether to turn to the direct route where the bound is not met.
    func decompose(fallback: Bool, choosingRank: ([Double]) throws -> Int) throws -> SVDResult {
        var evidence = evidence(.gram)
        let gram = evidence.timed("gram") { self.gram() }
        var values: [Double] = []
        let vectors = try evidence.timed("eigen") {
            try SymmetricEigen().decompose(gram) { eigenvalues in
                values = eigenvalues.map { max($0, 0).squareRoot() }
                return min(max(try choosingRank(values), 0), shortSide)
            }.vectors
        }
        let rank = vectors.columns
        let dropped = values.dropFirst(rank).reversed().reduce(0) { $0 + $1 * $1 }  // small ones first
        if fallback, gramFallsShort(largest: values.first ?? 0, dropped: dropped) {
            return try decomposeDirectly { _ in rank }
        }
        evidence.truncationError = dropped.squareRoot()
        var factors = Factors(values: values, short: vectors)
        let squaredError = try evidence.timed("product") { () throws(LinearAlgebraError) in
            try completeLongFactor(&factors, dropped: dropped)
        }
        evidence.excessEstimate = excess(squaredError: squaredError, dropped: dropped)
        return result(
            longFactor: factors.long, shortFactor: Matrix(rounding: factors.short, columns: rank),
            values: factors.values, evidence: evidence)
    }

    /// Whether the excess over the optimal squared error may exceed 2e-6 of it while factors in Float could do better.
    private func gramFallsShort(largest: Double, dropped: Double) -> Bool {
        let rounding = Self.gramRounding * largest * largest
        let floatFloor = 0x1p-24 * norm
        return rounding > 2e-6 * dropped && dropped > floatFloor * floatFloor
    }

    private struct Factors {
        var values: [Double]
        var short: Matrix64  // (short × k)
        var long = Matrix(rows: 0, columns: 0)  // (long × k)
    }

    /// Computes the long factor.
    /// - Returns: what rounding on the way may add to the squared error of the truncation.
    private func completeLongFactor(_ factors: inout Factors, dropped: Double) throws(LinearAlgebraError) -> Double {
        let rank = factors.short.columns, largest = factors.values.first ?? 0
        let reliable = factors.values.prefix(rank).prefix { $0 > 0 && $0 >= Self.reliableShare * largest }.count
        factors.long = Matrix(uninitializedRows: tall.rows, columns: rank)
        var squaredError = Self.gramRounding * largest * largest
        if floatProductSuffices(factors, reliable: reliable, dropped: dropped) {
            multiplyInFloat(&factors, columns: 0..<reliable)
            let product = Self.productRounding * norm
            squaredError += Double(rank) * product * product
        } else {
            multiplyInDouble(&factors, columns: 0..<reliable)
        }
        if reliable < rank {
            try refine(&factors, columns: reliable..<rank)
        }
        return squaredError
    }

    /// Whether the product can be computed in Float: its error must not show beside the optimal error (excess 1e-7),
    /// columns must come out with 2e-5 of their length, and 1/σ must be in range.
    private func floatProductSuffices(_ factors: Factors, reliable: Int, dropped: Double) -> Bool {
        guard tall.type != .float64, reliable > 0 else { return false }
        let perColumn = Self.productRounding * norm
        let least = factors.values[reliable - 1]
        return Double(reliable) * perColumn * perColumn <= 2e-7 * dropped && perColumn <= 2e-5 * least
            && least > 1e-34 && factors.values[0] < 1e34
    }

    /// long[:, columns] ← A · short[:, columns] · diag(1/σ) in Float.
    private func multiplyInFloat(_ factors: inout Factors, columns: Range<Int>) {
        var scaled = Matrix(uninitializedRows: shortSide, columns: columns.count)
        Self.divide(factors.short.view.columns(columns), by: factors.values[columns], into: scaled.mutableView())
        multiply(tall, MatrixOperand(scaled), into: factors.long.mutableView().columns(columns))
    }

    /// The same in Double, columns brought to length 1.
    private func multiplyInDouble(_ factors: inout Factors, columns: Range<Int>) {
        guard !columns.isEmpty else { return }
        var product = Matrix64(uninitializedRows: tall.rows, columns: columns.count)
        multiply(tall, MatrixOperand(factors.short.view.columns(columns)), into: product.mutableView())
        let lengths = columnNorms(product.view)
        let target = factors.long.mutableView().columns(columns)
        Self.divide(product.view, by: lengths[...], into: target)
        for (j, length) in zip(columns, lengths) { factors.values[j] = length }
    }

    /// target[:, j] ← source[:, j] / divisors[j], rounded to Float.
    private static func divide(
        _ source: MatrixView<Double>, by divisors: ArraySlice<Double>, into target: MutableMatrixView<Float>
    ) {
        let inverses = divisors.map { 1 / $0 }
        let strip = 64
        parallelFor((source.rows + strip - 1) / strip) { piece in
            for i in (piece * strip)..<min((piece + 1) * strip, source.rows) {
                let from = source.base + i * source.rowStride, to = target.base + i * target.rowStride
                for j in 0..<source.columns { to[j] = Float(from[j] * inverses[j]) }
            }
        }
    }

    /// Decomposes A · short[:, columns], less what the leading columns span, on its own.
    private func refine(_ factors: inout Factors, columns: Range<Int>) throws(LinearAlgebraError) {
        var block = Matrix64(uninitializedRows: tall.rows, columns: columns.count)
        multiply(tall, MatrixOperand(factors.short.view.columns(columns)), into: block.mutableView())
        let refined = try GramPeeling(leading: MatrixOperand(factors.long.view.columns(0..<columns.lowerBound)))
            .decompose(&block)
        multiplyInPlace(factors.short.mutableView().columns(columns), by: refined.rotation)
        convert(MatrixOperand(block), into: MutableMatrixOperand(factors.long.mutableView().columns(columns)))
        for (j, value) in zip(columns, refined.values) { factors.values[j] = value }
        // The refined values have shed the rounding of the Gram matrix; those behind them cannot be larger.
        for j in columns.lowerBound..<factors.values.count where j > 0 {
            factors.values[j] = min(factors.values[j], factors.values[j - 1])
        }
    }
}
