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

    /// - Parameters:
    ///   - coupling: β, the off-diagonal that was cut.
    init(
        _ first: TridiagonalNode, _ second: TridiagonalNode, coupling: Double
    ) throws(LinearAlgebraError) {
        self.first = first
        self.second = second
        let lastColumn = first.vectors.columns - 1, sign: Double = coupling < 0 ? -1 : 1
        let sorted = Self.merged(
            zip(first.values, first.rowOf).map {
                Entry(value: $0, weight: first.vectors[$1, lastColumn], isFirst: true, row: $1)
            },
            zip(second.values, second.rowOf).map {
                Entry(value: $0, weight: sign * second.vectors[$1, 0], isFirst: false, row: $1)
            }, by: \.value)
        entries = sorted.map { ($0.isFirst, $0.row) }
        let rho = 2 * coupling.magnitude
        deflation = RankOneDeflation(
            values: sorted.map(\.value), weights: sorted.map { $0.weight * 0.5.squareRoot() }, rho: rho)
        roots = try SecularRoots(deflation, rho: rho)
        let computed = roots.values.enumerated().map { (value: $1, source: Source.root($0)) }
        let deflated = deflation.deflated.map { (value: $0.value, source: Source.entry($0.entry)) }
            .sorted { $0.value < $1.value }
        let all = Self.merged(computed, deflated, by: \.value)
        values = all.map(\.value)
        sources = all.map(\.source)
    }

    private struct Entry {
        let value: Double
        let weight: Double
        let isFirst: Bool
        let row: Int
    }

    /// Two ascending lists as one; of equal values those of the first come first.
    private static func merged<Item>(_ first: [Item], _ second: [Item], by value: (Item) -> Double) -> [Item] {
        var result: [Item] = []
        result.reserveCapacity(first.count + second.count)
        var next = 0
        for item in second {
            while next < first.count, value(first[next]) <= value(item) {
                result.append(first[next])
                next += 1
            }
            result.append(item)
        }
        result.append(contentsOf: first[next...])
        return result
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

    /// The first and the last component of all vectors, from those of the halves.
    func ends() -> TridiagonalNode {
        let plan = Plan(self, sources.indices)
        var components = Matrix64(uninitializedRows: values.count, columns: 2)
        let target = components.mutableView()
        let heads = plan.firstRows.map { first.vectors[$0, 0] }
        let tails = plan.secondRows.map { second.vectors[$0, second.vectors.columns - 1] }
        forEachRow(plan) { i, coefficients in
            let base = coefficients.base
            target[i, 0] = Double.dot(base, heads, heads.count)
            target[i, 1] = Double.dot(base + heads.count, tails, tails.count)
        }
        for (i, entry) in plan.untouched.enumerated() {
            let place = entries[entry], half = place.isFirst ? first : second
            target[plan.denseCount + i, 0] = place.isFirst ? half.vectors[place.row, 0] : 0
            target[plan.denseCount + i, 1] = place.isFirst ? 0 : half.vectors[place.row, half.vectors.columns - 1]
        }
        return TridiagonalNode(values: values, rowOf: plan.rowOf, vectors: components)
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
        var rowCount: Int { firstRows.count + secondRows.count }

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
        var result = Matrix64(uninitializedRows: plan.denseCount, columns: plan.rowCount)
        let target = result.mutableView()
        forEachRow(plan) { i, row in
            convert(MatrixOperand(row), into: MutableMatrixOperand(target.rows(i..<i + 1)))
        }
        return result
    }

    /// Makes the coefficients of each dense row (1 × rowCount) in Double and hands them on.
    private func forEachRow(_ plan: Plan, _ body: @Sendable (Int, MatrixView<Double>) -> Void) {
        let columns = deflation.kept.map { plan.columnOf[$0] }
        let rotations = deflation.rotations.reversed().map {
            (p: plan.columnOf[$0.p], q: plan.columnOf[$0.q], c: $0.c, s: $0.s)
        }
        let strip = 16
        parallelFor((plan.denseCount + strip - 1) / strip) { [roots] piece in
            let vector = PaddedRun(count: columns.count)
            var row = Matrix64(rows: 1, columns: plan.rowCount)
            let coefficients = row.mutableView()
            let base = coefficients.base
            for i in (piece * strip)..<min((piece + 1) * strip, plan.denseCount) {
                base.update(repeating: 0, count: plan.rowCount)
                if i < plan.roots.count {
                    roots.vector(plan.roots[i], into: vector)
                    for (j, column) in columns.enumerated() { base[column] = vector[j] }
                } else {
                    base[plan.columnOf[plan.rotated[i - plan.roots.count]]] = 1
                }
                for r in rotations {
                    let p = base[r.p], q = base[r.q]
                    base[r.p] = r.c * p - r.s * q
                    base[r.q] = r.s * p + r.c * q
                }
                body(i, coefficients.readable)
            }
        }
    }

    /// target ← coefficients · vectors[rows, :].
    private static func multiply(
        _ coefficients: MatrixView<Double>, _ vectors: Matrix64, rows: [Int],
        into target: MutableMatrixView<Double>
    ) {
        guard target.rows > 0 else { return }
        guard !rows.isEmpty else {
            for i in 0..<target.rows {
                (target.base + i * target.rowStride).update(repeating: 0, count: target.columns)
            }
            return
        }
        if rows.count == vectors.rows {
            Double.multiply(coefficients, vectors.view, into: target, alpha: 1, beta: 0)
            return
        }
        let count = vectors.columns
        var gathered = Matrix64(uninitializedRows: rows.count, columns: count)
        let copy = gathered.mutableView().base, source = vectors.view.base
        for (i, row) in rows.enumerated() { (copy + i * count).update(from: source + row * count, count: count) }
        Double.multiply(coefficients, gathered.view, into: target, alpha: 1, beta: 0)
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
