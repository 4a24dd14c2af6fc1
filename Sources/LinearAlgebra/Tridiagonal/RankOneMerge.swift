import Kernels
import MatrixCore

/// The eigenpairs of a matrix put together from two halves and a rank-one correction.
///
/// diag(T₁, T₂) + |β|·u·uᵀ with T_i = V_i Λ_i V_iᵀ is V (diag(d) + ρ·z·zᵀ) Vᵀ with V = diag(V₁, V₂); z comes from the
/// last row of V₁ and the first of V₂. Values need only the secular equation; vectors are made for any range of
/// positions: coefficients with respect to V, then one product with each half.
struct RankOneMerge {
    let first: TridiagonalNode
    let second: TridiagonalNode
    /// All eigenvalues, ascending.
    let values: [Double]

    private let deflation: RankOneDeflation
    private let roots: SecularRoots
    /// For each position: a root, or an entry that was deflated.
    private let sources: [Source]

    private enum Source {
        case root(Int)
        case entry(Int)
    }

    /// Halves sorted into one order: entry → (half, row of its vector).
    private let entries: [(isFirst: Bool, row: Int)]

    /// - Parameter coupling: β, the off-diagonal that was cut.
    init(_ first: TridiagonalNode, _ second: TridiagonalNode, coupling: Double) throws(LinearAlgebraError) {
        self.first = first
        self.second = second
        var sorted: [(value: Double, weight: Double, isFirst: Bool, row: Int)] = []
        sorted.reserveCapacity(first.order + second.order)
        let lastColumn = first.order - 1
        for (value, row) in zip(first.values, first.rowOf) {
            sorted.append((value, first.vectors[row, lastColumn], true, row))
        }
        let sign: Double = coupling < 0 ? -1 : 1
        for (value, row) in zip(second.values, second.rowOf) {
            sorted.append((value, sign * second.vectors[row, 0], false, row))
        }
        sorted.sort { ($0.value, $0.isFirst ? 0 : 1, $0.row) < ($1.value, $1.isFirst ? 0 : 1, $1.row) }
        entries = sorted.map { ($0.isFirst, $0.row) }
        let rho = 2 * coupling.magnitude
        deflation = RankOneDeflation(
            values: sorted.map(\.value), weights: sorted.map { $0.weight * 0.5.squareRoot() }, rho: rho)
        roots = try SecularRoots(deflation, rho: rho)
        var all = roots.values.enumerated().map { (value: $1, source: Source.root($0), tie: $0) }
        for (entry, value) in deflation.deflated { all.append((value, .entry(entry), sorted.count + entry)) }
        all.sort { ($0.value, $0.tie) < ($1.value, $1.tie) }
        values = all.map(\.value)
        sources = all.map(\.source)
    }

    /// The vectors of a range of positions.
    func node(_ range: Range<Int>) -> TridiagonalNode {
        let plan = Plan(self, range)
        var vectors = Matrix64(uninitializedRows: range.count, columns: values.count)
        let target = vectors.mutableView()
        let coefficients = coefficients(plan)
        let split = plan.firstRows.count
        let dense = target.rows(0..<plan.denseCount)
        Self.multiply(
            coefficients.view.columns(0..<split), first.vectors, rows: plan.firstRows,
            into: dense.columns(0..<first.order))
        Self.multiply(
            coefficients.view.columns(split..<coefficients.columns), second.vectors, rows: plan.secondRows,
            into: dense.columns(first.order..<values.count))
        copyUntouched(plan, into: target)
        return TridiagonalNode(values: values, rowOf: plan.rowOf, firstPosition: range.lowerBound, vectors: vectors)
    }

    /// Which rows of the halves take part, and where each vector of the range goes.
    private struct Plan {
        /// Roots, then rotated entries: rows that are computed by products.
        var roots: [Int] = []
        var rotated: [Int] = []
        /// Entries whose vector is one of a half, unchanged.
        var untouched: [Int] = []
        /// Row of each position of the range.
        var rowOf: [Int] = []
        /// Rows of each half that take part in the products, and the coefficient column of each entry (−1 for none).
        var firstRows: [Int] = []
        var secondRows: [Int] = []
        var columnOf: [Int]

        var denseCount: Int { roots.count + rotated.count }

        init(_ merge: RankOneMerge, _ range: Range<Int>) {
            columnOf = [Int](repeating: -1, count: merge.entries.count)
            var takesPart = [Bool](repeating: false, count: merge.entries.count)
            for entry in merge.deflation.kept { takesPart[entry] = true }
            for rotation in merge.deflation.rotations { takesPart[rotation.p] = true }
            firstRows = Self.rows(merge, takesPart, first: true)
            secondRows = Self.rows(merge, takesPart, first: false)
            var ofFirst = [Int](repeating: -1, count: merge.first.order)
            var ofSecond = [Int](repeating: -1, count: merge.second.order)
            for (column, row) in firstRows.enumerated() { ofFirst[row] = column }
            for (column, row) in secondRows.enumerated() { ofSecond[row] = firstRows.count + column }
            for (entry, place) in merge.entries.enumerated() where takesPart[entry] {
                columnOf[entry] = place.isFirst ? ofFirst[place.row] : ofSecond[place.row]
            }
            for source in merge.sources[range] {
                switch source {
                case .root(let root): roots.append(root)
                case .entry(let entry) where takesPart[entry]: rotated.append(entry)
                case .entry(let entry): untouched.append(entry)
                }
            }
            var next = (root: 0, rotated: roots.count, untouched: roots.count + rotated.count)
            for source in merge.sources[range] {
                switch source {
                case .root:
                    rowOf.append(next.root)
                    next.root += 1
                case .entry(let entry) where takesPart[entry]:
                    rowOf.append(next.rotated)
                    next.rotated += 1
                case .entry:
                    rowOf.append(next.untouched)
                    next.untouched += 1
                }
            }
        }

        /// Rows of a half that take part, ascending; all of them, with coefficients zero, if most do, since then the
        /// half needs no copy.
        private static func rows(_ merge: RankOneMerge, _ takesPart: [Bool], first: Bool) -> [Int] {
            let order = first ? merge.first.order : merge.second.order
            let rows = merge.entries.indices.filter { takesPart[$0] && merge.entries[$0].isFirst == first }
                .map { merge.entries[$0].row }
            return rows.isEmpty || 8 * rows.count < 7 * order ? rows.sorted() : Array(0..<order)
        }
    }

    /// Coefficients of the dense rows with respect to the rows that take part.
    private func coefficients(_ plan: Plan) -> Matrix64 {
        var result = Matrix64(uninitializedRows: plan.denseCount, columns: plan.firstRows.count + plan.secondRows.count)
        let target = result.mutableView()
        let columns = deflation.kept.map { plan.columnOf[$0] }
        let rotations = deflation.rotations.reversed().map {
            (p: plan.columnOf[$0.p], q: plan.columnOf[$0.q], c: $0.c, s: $0.s)
        }
        let strip = 16
        parallelFor((plan.denseCount + strip - 1) / strip) { piece in
            var vector = [Double](repeating: 0, count: columns.count)
            for i in (piece * strip)..<min((piece + 1) * strip, plan.denseCount) {
                let row = target.base + i * target.rowStride
                row.update(repeating: 0, count: target.columns)
                if i < plan.roots.count {
                    roots.vector(plan.roots[i], into: &vector)
                    for (j, column) in columns.enumerated() { row[column] = vector[j] }
                } else {
                    row[plan.columnOf[plan.rotated[i - plan.roots.count]]] = 1
                }
                for r in rotations {
                    let p = row[r.p], q = row[r.q]
                    row[r.p] = r.c * p - r.s * q
                    row[r.q] = r.s * p + r.c * q
                }
            }
        }
        return result
    }

    /// target ← coefficients · vectors[rows, :].
    private static func multiply(
        _ coefficients: MatrixView<Double>, _ vectors: Matrix64, rows: [Int], into target: MutableMatrixView<Double>
    ) {
        guard target.rows > 0 else { return }
        guard !rows.isEmpty else {
            for i in 0..<target.rows {
                (target.base + i * target.rowStride).update(repeating: 0, count: target.columns)
            }
            return
        }
        if rows.count == vectors.rows {
            Kernels.multiply(MatrixOperand(coefficients), MatrixOperand(vectors), into: target)
            return
        }
        let count = vectors.columns
        var gathered = Matrix64(uninitializedRows: rows.count, columns: count)
        let copy = gathered.mutableView().base, source = vectors.view.base
        for (i, row) in rows.enumerated() { (copy + i * count).update(from: source + row * count, count: count) }
        Kernels.multiply(MatrixOperand(coefficients), MatrixOperand(gathered), into: target)
    }

    private func copyUntouched(_ plan: Plan, into target: MutableMatrixView<Double>) {
        for (i, entry) in plan.untouched.enumerated() {
            let row = target.base + (plan.denseCount + i) * target.rowStride
            row.update(repeating: 0, count: target.columns)
            let place = entries[entry]
            let half = place.isFirst ? first : second
            let offset = place.isFirst ? 0 : first.order
            (row + offset).update(from: half.vectors.view.base + place.row * half.order, count: half.order)
        }
    }
}
