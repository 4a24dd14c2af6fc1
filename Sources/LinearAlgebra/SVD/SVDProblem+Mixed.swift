import Kernels
import MatrixCore

/// The Gram route in Float: Gram matrix, reduction, vectors and product; of the tridiagonal problem all but the vectors
/// is in Double.
///
/// What Float rounds away turns the space of the leading vectors by angles of ε·σ₁²/(σ_i² − σ_j²), and the energy that
/// it captures by their squares, so the error of the truncation is as good as that of the Float64 route unless the
/// spectrum is steep. Whether it is so is measured with A and not assumed:
///
/// - R = AᵀA V − V Λ is applied to a few random vectors. For V with orthonormal columns and any η > 0,
///
///       Σ_{i≤k} λ_i(AᵀA) − ‖A V‖² ≤ ‖R‖²/η + Σ_l max(0, λ_(k+l) + η − λ_(k+1−l)),
///
///   because [[H, Rᵀ], [R, C]] ≤ diag(H + RᵀR/η, C + η) and the sum of the largest values is monotone. So the distance
///   from the optimum is bounded without its being known, gap or no gap behind λ_k.
/// - UᵀU and VᵀV are compared with the identity.
///
/// Singular values are the lengths of A·v, and the error is ‖A‖² − Σσ², both summed in Double.
///
/// - Source: the block bound is Weyl's inequality after a Schur complement; Ky Fan for sums.
extension SVDProblem {
    /// Largest departure of UᵀU and VᵀV from the identity, element by element.
    private static var orthonormality: Float { 8e-6 }
    /// σ_k² must be at least this share of σ₁²: below it the columns of A·V are hardly ever orthogonal enough. Rounding
    /// of the Gram matrix makes cosines of some 1e-8·σ₁²/(σ_i σ_j).
    private static var smallestShare: Double { 1.0 / 400 }
    /// What the squared error may exceed the optimum by, relative; half of what the automatic route promises.
    private static var allowedExcess: Double { 1e-6 }
    /// Random vectors that R is applied to.
    private static var probes: Int { 16 }

    /// The vectors for the largest of the ranks that the spectrum leaves a chance.
    /// - Returns: nil where it leaves none to any.
    func mixedDecomposition(ranks: [Int]) throws -> MixedDecomposition? {
        // Squares, and squares of squares, must stay in the range of Float.
        guard tall.type != .float64, norm > 1e-9, norm < 1e15 else { return nil }
        var evidence = evidence(.mixed)
        let exponent = Int((norm * norm).exponent) + 1
        let gram = evidence.timed("gram") { floatGram(exponent: exponent) }
        let bound = SpectrumBound(gram.readable)
        let candidates = ranks.filter { 0 < $0 && $0 < shortSide && bound.allows(rank: $0, Self.smallestShare) }
        guard !candidates.isEmpty else { return nil }
        let eigen = try SymmetricEigen().reduceInFloat(gram, exponent: exponent) { values in
            let largest = candidates.filter { !Self.isSteep(values, rank: $0) }.max() ?? 0
            return min(GramDecomposition.columns(forRank: largest), shortSide)
        }
        guard eigen.columns > 0 else { return nil }
        evidence.append(eigen.evidence)
        var short = evidence.timed("vectors") { eigen.roundedVectors() }
        _ = Self.normalise(&short)
        let (long, values) = evidence.timed("product") { longFactor(short, eigen.values.prefix(short.columns)) }
        return MixedDecomposition(
            short: short, long: long, values: values, eigenvalues: eigen.values, bound: bound, evidence: evidence)
    }

    /// The truncation to one of the ranks that the decomposition was made for. Whether it will do, and every bit of it,
    /// depends on the matrix and this rank alone.
    /// - Returns: nil where it cannot be shown to be as good as that of the Float64 route.
    func cut(_ decomposition: MixedDecomposition, rank: Int) -> SVDResult? {
        let eigenvalues = decomposition.eigenvalues
        guard 0 < rank, rank < shortSide, decomposition.bound.allows(rank: rank, Self.smallestShare),
            rank <= decomposition.short.columns, !Self.isSteep(eigenvalues, rank: rank)
        else { return nil }
        var evidence = decomposition.evidence
        var values = Array(decomposition.values.prefix(rank))
        let dropped = norm * norm - values.reversed().reduce(0) { $0 + $1 * $1 }
        let short = decomposition.short.leadingColumns(rank), long = decomposition.long.leadingColumns(rank)
        let bound = evidence.timed("check") {
            Self.isOrthonormal(short) && Self.isOrthonormal(long) ? energyBound(short, eigenvalues) : .infinity
        }
        let added = bound + roundedEnergy(rank: rank)
        guard dropped > 0, added <= Self.allowedExcess * dropped else { return nil }
        evidence.truncationError = dropped.squareRoot()
        evidence.excessEstimate = excess(squaredError: added, dropped: dropped)
        for value in eigenvalues.dropFirst(rank) { values.append(max(value, 0).squareRoot()) }
        for j in 1..<values.count { values[j] = min(values[j], values[j - 1]) }
        return result(longFactor: long, shortFactor: short, values: values, evidence: evidence)
    }

    private static func isSteep(_ eigenvalues: [Double], rank: Int) -> Bool {
        !(eigenvalues[rank - 1] >= smallestShare * eigenvalues[0])
    }

    /// The lower triangle of AᵀA / 2^exponent, with room for the reduction in its rows.
    private func floatGram(exponent: Int) -> MutableMatrixView<Float> {
        let stride = SymmetricEigen.paddedRowStride(shortSide, Float.self)
        let buffer = AlignedBuffer<Float>(uninitializedCount: shortSide * stride)
        let gram = MutableMatrixView(
            base: buffer.base, rows: shortSide, columns: shortSide, rowStride: stride, owner: buffer)
        let scale = Float(sign: .plus, exponent: -exponent, significand: 1)
        multiplyTriangle(tall.transposed, tall, .lower, into: gram, alpha: scale)
        return gram
    }

    /// U and σ of A V = U diag(σ), columns of U of length 1.
    private func longFactor(_ short: Matrix, _ eigenvalues: ArraySlice<Double>) -> (u: Matrix, values: [Double]) {
        // Behind the rank of A there is nothing to divide by; no cut can have such a column.
        let guesses = eigenvalues.map { $0 > 0 ? $0.squareRoot() : 1 }
        var scaled = Matrix(uninitializedRows: shortSide, columns: short.columns)
        Self.divide(short.view, by: guesses[...], into: scaled.mutableView())
        var long = Matrix(uninitializedRows: tall.rows, columns: short.columns)
        multiply(tall, MatrixOperand(scaled), into: long.mutableView())
        let lengths = Self.normalise(&long)
        return (long, zip(guesses, lengths).map { $0 * $1 })
    }

    /// Brings columns to length 1.
    /// - Returns: the lengths they had.
    private static func normalise(_ a: inout Matrix) -> [Double] {
        let lengths = columnNorms(a.view)
        let target = a.mutableView()
        divide(target.readable, by: lengths[...], into: target)
        return lengths
    }

    private static func isOrthonormal(_ a: Matrix) -> Bool {
        var gram = Matrix(uninitializedRows: a.columns, columns: a.columns)
        let target = gram.mutableView()
        multiplyTriangle(MatrixOperand(a).transposed, MatrixOperand(a), .lower, into: target)
        for i in 0..<a.columns {
            target[i, i] -= 1
            let row = target.readable.block(rows: i..<i + 1, columns: 0..<i + 1)
            if !(Float.largestMagnitude(row) <= Double(orthonormality)) { return false }
        }
        return true
    }

    /// What the vectors capture less than the best ones, at most: the bound above, at the best of some η.
    private func energyBound(_ v: Matrix, _ eigenvalues: [Double]) -> Double {
        let rank = v.columns
        let residual = squaredResidual(v, eigenvalues)
        // The values are off by the rounding of the reduction, of which R shows a typical column.
        let margin = 4 * (residual / Double(rank)).squareRoot()
        var best = Double.infinity, eta = 4 * margin
        while eta > 0, eta <= eigenvalues[0] {
            var bound = residual / eta
            for l in 0..<min(rank, eigenvalues.count - rank) {
                let overlap = eigenvalues[rank + l] + eta + margin - eigenvalues[rank - 1 - l]
                if overlap <= 0 { break }
                bound += overlap
            }
            best = min(best, bound)
            eta *= 2
        }
        return residual > 0 ? best : 0
    }

    /// ‖AᵀA V − V Λ‖², from random vectors.
    private func squaredResidual(_ v: Matrix, _ eigenvalues: [Double]) -> Double {
        let rank = v.columns, count = Self.probes
        let random: Matrix = CounterRandom(seed: 0xCE47).normalMatrix(rows: rank, columns: count)
        let weighted = Matrix(rows: rank, columns: count) { random[$0, $1] * Float(eigenvalues[$0]) }
        func product(_ a: MatrixOperand, _ b: Matrix) -> Matrix {
            var product = Matrix(uninitializedRows: a.rows, columns: b.columns)
            multiply(a, MatrixOperand(b), into: product.mutableView())
            return product
        }
        let applied = product(tall.transposed, product(tall, product(MatrixOperand(v), random)))
        let wanted = product(MatrixOperand(v), weighted)
        return sumOfSquaredDifferences(MatrixOperand(applied), MatrixOperand(wanted)) / Double(count)
    }

    /// What rounding in the vectors and the product adds to the squared error; it has no direction, so squares add.
    private func roundedEnergy(rank: Int) -> Double {
        let inProduct = Self.productRounding * norm
        let inVectors = ReducedEigen.roundedVectorError(order: shortSide) * norm
        return Double(rank) * inProduct * inProduct + inVectors * inVectors
    }
}
