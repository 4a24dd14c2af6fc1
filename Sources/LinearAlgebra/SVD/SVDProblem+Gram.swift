import Kernels
import MatrixCore

/// The Gram route.
///
/// G = AᵀA = V Λ Vᵀ, σ = √λ, and the other factor is A·V·diag(1/σ).
///
/// Rounding in G moves the captured energy Σ_{i≤k} λ_i by some ε·σ₁², so the squared error of the truncation is within
/// that of its optimum. Columns of A·V for σ below 2⁻¹¹·σ₁ are no longer orthogonal to Float's precision (their
/// cosines are ε·σ₁²/(σ_i σ_j)); those that are wanted are decomposed once more on their own (`GramPeeling`).
///
/// The last steps, from the vectors of the tridiagonal matrix to those of G and to A·V, run in Float where what that
/// rounds away shows neither in the error of the truncation nor in the factors, which are rounded to Float anyway.
extension SVDProblem {
    /// Columns below this share of σ₁ are refined.
    private static var reliableShare: Double { 0x1p-11 }
    /// Rounding of the captured energy, in units of σ₁².
    private static var gramRounding: Double { 4 * Double.ulpOfOne }
    /// Error of an element of the Float product, in units of the norm of a row of A; 2.4e-8 is seen.
    static var productRounding: Double { 5e-8 }

    /// The Gram matrix with its eigenvectors as far as the largest rank needs them.
    func gramDecomposition(
        isCutOnce: Bool, choosingLargestRank: ([Double]) throws -> Int
    ) throws -> GramDecomposition {
        var evidence = evidence(.gram)
        let gram = evidence.timed("gram") { lowerGram() }
        var values: [Double] = []
        let eigen = try SymmetricEigen().reduce(gram) { eigenvalues in
            values = eigenvalues.map { max($0, 0).squareRoot() }
            return min(GramDecomposition.columns(forRank: try choosingLargestRank(values)), shortSide)
        }
        evidence.append(eigen.evidence)
        return GramDecomposition(values: values, isCutOnce: isCutOnce, eigen: eigen, evidence: evidence)
    }

    /// The truncation to a rank, at most the largest that the decomposition was made for.
    /// - Parameter fallback: whether to turn to the direct route where the bound is not met.
    /// - Returns: nil for the direct route.
    func cut(_ decomposition: GramDecomposition, rank: Int, fallback: Bool) throws -> SVDResult? {
        let values = decomposition.values
        let dropped = values.dropFirst(rank).reversed().reduce(0) { $0 + $1 * $1 }  // small ones first
        if fallback, gramFallsShort(largest: values.first ?? 0, dropped: dropped) { return nil }
        var evidence = decomposition.evidence
        evidence.truncationError = dropped.squareRoot()
        if let rounding = floatVectorsSuffice(values, rank: rank, dropped: dropped) {
            let factors = roundedFactors(decomposition, &evidence)
            evidence.excessEstimate = excess(squaredError: rounding, dropped: dropped)
            return result(
                longFactor: factors.long.leadingColumns(rank), shortFactor: factors.short.leadingColumns(rank),
                values: values, evidence: evidence)
        }
        let short = evidence.timed("vectors") { decomposition.vectors(rank: rank) }
        var factors = Factors(values: values, short: short)
        let squaredError = try evidence.timed("product") { () throws(LinearAlgebraError) in
            try completeLongFactor(&factors, dropped: dropped, decomposition)
        }
        evidence.excessEstimate = excess(squaredError: squaredError, dropped: dropped)
        return result(
            longFactor: factors.long, shortFactor: Matrix(rounding: factors.short, columns: rank),
            values: factors.values, evidence: evidence)
    }

    /// Both factors in Float, of all columns that any rank needs.
    private func roundedFactors(
        _ decomposition: GramDecomposition, _ evidence: inout SVDEvidence
    ) -> GramDecomposition.RoundedFactors {
        if let known = decomposition.rounded { return known }
        let short = evidence.timed("vectors") { decomposition.eigen.roundedVectors() }
        let long = evidence.timed("product") { longFactorInFloat(short.view, decomposition.values[..<short.columns]) }
        let factors = GramDecomposition.RoundedFactors(short: short, long: long)
        decomposition.rounded = factors
        return factors
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
    private func completeLongFactor(
        _ factors: inout Factors, dropped: Double, _ decomposition: GramDecomposition
    ) throws(LinearAlgebraError) -> Double {
        let rank = factors.short.columns, largest = factors.values.first ?? 0
        let reliable = reliableCount(factors.values, rank: rank)
        factors.long = Matrix(uninitializedRows: tall.rows, columns: rank)
        var squaredError = Self.gramRounding * largest * largest
        if let rounding = floatProductSuffices(factors.values, columns: reliable, dropped: dropped) {
            let product = longFactorInFloat(factors.short.view.columns(0..<reliable), factors.values[..<reliable])
            convert(
                MatrixOperand(product), into: MutableMatrixOperand(factors.long.mutableView().columns(0..<reliable)))
            squaredError += rounding
        } else {
            multiplyInDouble(&factors, columns: reliable, decomposition)
        }
        if reliable < rank {
            try refine(&factors, columns: reliable..<rank)
        }
        return squaredError
    }

    /// How many of the leading singular values are large enough for their columns of A·V to be orthogonal.
    private func reliableCount(_ values: [Double], rank: Int) -> Int {
        let largest = values.first ?? 0
        return values.prefix(rank).prefix { $0 > 0 && $0 >= Self.reliableShare * largest }.count
    }

    /// Whether the product can be computed in Float: its error must not show beside the optimal error (excess 1e-7),
    /// columns must come out with 2e-5 of their length, and 1/σ must be in range.
    /// - Parameter vectorError: by how much the vectors that A is multiplied by are off.
    /// - Returns: what rounding adds to the squared error; nil if that is too much.
    private func floatProductSuffices(
        _ values: [Double], columns: Int, dropped: Double, vectorError: Double = 0
    ) -> Double? {
        guard tall.type != .float64, columns > 0 else { return nil }
        let inProduct = Self.productRounding * norm
        let inVectors = vectorError * norm
        // What a vector is off by has no direction, so A takes it to a mean length.
        let perColumn = inProduct + inVectors / Double(shortSide).squareRoot()
        let added = Double(columns) * inProduct * inProduct + inVectors * inVectors
        let suffices = added <= 2e-7 * dropped && perColumn <= 2e-5 * values[columns - 1]
            && values[columns - 1] > 1e-34 && values[0] < 1e34
        return suffices ? added : nil
    }

    /// Whether the vectors too may be computed in Float, with the product; that takes all columns to be reliable.
    /// - Returns: what rounding, that of the Gram matrix included, adds to the squared error; nil if that is too much.
    private func floatVectorsSuffice(_ values: [Double], rank: Int, dropped: Double) -> Double? {
        guard reliableCount(values, rank: rank) == rank, let largest = values.first else { return nil }
        let rounding = floatProductSuffices(
            values, columns: rank, dropped: dropped, vectorError: ReducedEigen.roundedVectorError(order: shortSide))
        return rounding.map { $0 + Self.gramRounding * largest * largest }
    }

    /// A · short · diag(1/σ) in Float, (long × columns of short).
    private func longFactorInFloat(_ short: MatrixView<some FactorScalar>, _ values: ArraySlice<Double>) -> Matrix {
        var scaled = Matrix(uninitializedRows: shortSide, columns: short.columns)
        Self.divide(short, by: values, into: scaled.mutableView())
        var long = Matrix(uninitializedRows: tall.rows, columns: short.columns)
        multiply(tall, MatrixOperand(scaled), into: long.mutableView())
        return long
    }

    /// long[:, ..<columns] ← A · short[:, ..<columns] in Double, columns brought to length 1. The product is made once,
    /// for all columns that any rank needs.
    private func multiplyInDouble(_ factors: inout Factors, columns: Int, _ decomposition: GramDecomposition) {
        guard columns > 0 else { return }
        let product: (long: Matrix64, lengths: [Double])
        if let known = decomposition.product {
            product = known
        } else {
            let vectors = decomposition.transformedVectors()
            var long = Matrix64(uninitializedRows: tall.rows, columns: vectors.columns)
            multiply(tall, MatrixOperand(vectors), into: long.mutableView())
            product = (long, columnNorms(long.view))
            if !decomposition.isCutOnce { decomposition.product = product }
        }
        let target = factors.long.mutableView().columns(0..<columns)
        Self.divide(product.long.view.columns(0..<columns), by: product.lengths[..<columns], into: target)
        for j in 0..<columns { factors.values[j] = product.lengths[j] }
    }

    /// target[:, j] ← source[:, j] / divisors[j], rounded to Float.
    static func divide<Element: FactorScalar>(
        _ source: MatrixView<Element>, by divisors: ArraySlice<Double>, into target: MutableMatrixView<Float>
    ) {
        let inverses = divisors.map { 1 / $0 }
        let strip = 64
        parallelFor((source.rows + strip - 1) / strip) { piece in
            for i in (piece * strip)..<min((piece + 1) * strip, source.rows) {
                let from = source.base + i * source.rowStride, to = target.base + i * target.rowStride
                for j in 0..<source.columns { to[j] = Float(Element.double(from[j]) * inverses[j]) }
            }
        }
    }

    /// Decomposes A · short[:, columns], less what the leading columns span, on its own.
    private func refine(_ factors: inout Factors, columns: Range<Int>) throws(LinearAlgebraError) {
        var block = Matrix64(uninitializedRows: tall.rows, columns: columns.count)
        multiply(tall, MatrixOperand(factors.short.view.columns(columns)), into: block.mutableView())
        // Of columns that A all but annihilates, rounding alone is left, and that may well point along a leading vector.
        let peeling = GramPeeling(
            leading: MatrixOperand(factors.long.view.columns(0..<columns.lowerBound)), noise: 4 * Double.ulpOfOne * norm)
        let refined = try peeling.decompose(&block)
        multiplyInPlace(factors.short.mutableView().columns(columns), by: refined.rotation)
        convert(MatrixOperand(block), into: MutableMatrixOperand(factors.long.mutableView().columns(columns)))
        for (j, value) in zip(columns, refined.values) { factors.values[j] = value }
        // The refined values have shed the rounding of the Gram matrix; those behind them cannot be larger.
        for j in columns.lowerBound..<factors.values.count where j > 0 {
            factors.values[j] = min(factors.values[j], factors.values[j - 1])
        }
    }
}
