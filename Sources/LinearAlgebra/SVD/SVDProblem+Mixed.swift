import Kernels
import MatrixCore

/// The Gram route in Float: Gram matrix, reduction, vectors and product; of the tridiagonal problem all but the vectors
/// is in Double.
///
/// What Float rounds away turns the space of the leading vectors by angles of ε·σ₁²/(σ_i² − σ_j²), and the energy that
/// it captures by their squares, so the error of the truncation is as good as that of the Float64 route unless the
/// spectrum is steep. Whether it is so is measured with A and not assumed: the residual of V bounds what V captures less
/// than the best space, gap or no gap behind λ_k (`EnergyBound`). Where singular vectors are wanted as such, UᵀU and VᵀV
/// are also compared with the identity.
///
/// Singular values are the lengths of A·v, and the error is ‖A‖² − Σσ², both summed in Double.
extension SVDProblem {
    /// Largest departure of UᵀU and VᵀV from the identity, element by element.
    private static var orthonormality: Float { 8e-6 }
    /// σ_k² must be at least this share of σ₁². Rounding of the Gram matrix makes cosines of some 1e-8·σ₁²/(σ_i σ_j)
    /// between columns of A·V: below the first share they are hardly ever orthogonal enough for singular vectors; below
    /// the second the space of V is hardly ever good enough for a truncation.
    private static func smallestShare(_ purpose: TruncatedSVD.Purpose) -> Double {
        switch purpose {
        case .singularVectors: 1.0 / 400
        case .truncation: 1.0 / 10_000
        }
    }
    /// What the squared error may exceed the optimum by, relative: what the automatic route promises, 1e-6 of the error
    /// itself, and half of it where it is also to hold for U Σ Vᵀ with U as it is and not as A V tells it.
    private static func allowedExcess(_ purpose: TruncatedSVD.Purpose) -> Double {
        switch purpose {
        case .singularVectors: 1e-6
        case .truncation: 2e-6
        }
    }

    /// The mean length of a column of R in units of σ₁², where it is least.
    private static var leastResidual: Double { 3e-8 }

    /// The vectors for the largest of the ranks that the spectrum leaves a chance.
    /// - Returns: nil where it leaves none to any.
    func mixedDecomposition(ranks: [Int], purpose: TruncatedSVD.Purpose) throws -> MixedDecomposition? {
        // Squares, and squares of squares, must stay in the range of Float.
        guard tall.type != .float64, norm > 1e-9, norm < 1e15 else { return nil }
        var evidence = evidence(.mixed)
        let exponent = Int((norm * norm).exponent) + 1
        let gram = evidence.timed("gram") { floatGram(exponent: exponent) }
        let bound = SpectrumBound(gram.readable)
        let share = Self.smallestShare(purpose)
        let candidates = ranks.filter { 0 < $0 && $0 < shortSide && bound.allows(rank: $0, share) }
        guard !candidates.isEmpty else { return nil }
        let eigen = try SymmetricEigen().reduceInFloat(gram, exponent: exponent) { values in
            let largest = candidates.filter { !isHopeless(values, rank: $0, purpose) }.max() ?? 0
            return min(GramDecomposition.columns(forRank: largest), shortSide)
        }
        guard eigen.columns > 0 else { return nil }
        evidence.append(eigen.evidence)
        var short = evidence.timed("vectors") { eigen.roundedVectors() }
        _ = Self.normalise(&short)
        let (long, values) = evidence.timed("product") { longFactor(short) }
        return MixedDecomposition(
            purpose: purpose, short: short, long: long, values: values, eigenvalues: eigen.values, bound: bound,
            evidence: evidence)
    }

    /// The truncation to one of the ranks that the decomposition was made for. Whether it will do, and every bit of it,
    /// depends on the matrix and this rank alone.
    /// - Returns: nil where it cannot be shown to be as good as that of the Float64 route.
    func cut(_ decomposition: MixedDecomposition, rank: Int) -> SVDResult? {
        let eigenvalues = decomposition.eigenvalues, share = Self.smallestShare(decomposition.purpose)
        guard 0 < rank, rank < shortSide, decomposition.bound.allows(rank: rank, share),
            rank <= decomposition.short.columns, !isHopeless(eigenvalues, rank: rank, decomposition.purpose)
        else { return nil }
        var evidence = decomposition.evidence
        var values = Array(decomposition.values.prefix(rank))
        let dropped = norm * norm - values.reversed().reduce(0) { $0 + $1 * $1 }
        let short = decomposition.short.leadingColumns(rank), long = decomposition.long.leadingColumns(rank)
        let measured = evidence.timed("check") {
            let suffices = decomposition.purpose == .truncation || Self.isOrthonormal(short) && Self.isOrthonormal(long)
            return suffices ? squaredExcess(short, eigenvalues) : .infinity
        }
        let added = measured + roundedEnergy(rank: rank)
        guard dropped > 0, added <= Self.allowedExcess(decomposition.purpose) * dropped else { return nil }
        evidence.truncationError = dropped.squareRoot()
        evidence.excessEstimate = excess(squaredError: added, dropped: dropped)
        for value in eigenvalues.dropFirst(rank) { values.append(max(value, 0).squareRoot()) }
        for j in 1..<values.count { values[j] = min(values[j], values[j - 1]) }
        return result(longFactor: long, shortFactor: short, values: values, evidence: evidence)
    }

    /// Whether the eigenvalues alone tell that a rank will not pass.
    private func isHopeless(_ eigenvalues: [Double], rank: Int, _ purpose: TruncatedSVD.Purpose) -> Bool {
        let least = Self.smallestShare(purpose) * eigenvalues[0]
        guard eigenvalues[rank - 1] > 0, eigenvalues[rank - 1] >= least else { return true }
        let length = Self.leastResidual * eigenvalues[0]
        let expected = EnergyBound(eigenvalues: eigenvalues, rank: rank)
            .least(columnLength: length, distance: EnergyBound.distance(columnLength: length)).value
        let dropped = eigenvalues.dropFirst(rank).reversed().reduce(0) { $0 + max($1, 0) }
        return expected + roundedEnergy(rank: rank) > 2 * Self.allowedExcess(purpose) * dropped
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
    private func longFactor(_ short: Matrix) -> (u: Matrix, values: [Double]) {
        var long = Matrix(uninitializedRows: tall.rows, columns: short.columns)
        multiply(tall, MatrixOperand(short), into: long.mutableView())
        let lengths = Self.normalise(&long)
        return (long, lengths)
    }

    /// Brings columns to length 1, but those of zeros, which no cut can have: they lie behind the rank of A.
    /// - Returns: the lengths they had.
    private static func normalise(_ a: inout Matrix) -> [Double] {
        let lengths = columnNorms(a.view)
        let target = a.mutableView()
        divide(target.readable, by: lengths.map { $0 > 0 ? $0 : 1 }[...], into: target)
        return lengths
    }

    private static func isOrthonormal(_ a: Matrix) -> Bool { Orthonormality(limit: Double(orthonormality)).holds(a) }

    /// What rounding in the vectors and the product adds to the squared error; it has no direction, so squares add.
    private func roundedEnergy(rank: Int) -> Double {
        let inProduct = Self.productRounding * norm
        let inVectors = ReducedEigen.roundedVectorError(order: shortSide) * norm
        return Double(rank) * inProduct * inProduct + inVectors * inVectors
    }
}
