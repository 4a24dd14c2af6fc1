import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors

/// Compresses a group of matrices of one shape into a shared basis and coefficients of each.
///
/// The rank for a size is that of the stack as a single matrix: r numbers for each of its g·m rows and n columns, so
/// r = ⌊ρ·g·m·n/(g·m + n)⌋, and r² numbers less with a pivoted basis (`RankRule`). Energy is a share of that of the
/// stack; an error bound holds for every member, for the numbers as written.
struct SharedBasisCompression {
    let route: TruncatedSVD.Route
    let storage: MethodSettings.Storage
    let rankMultiple: Int
    /// Steps of the basis after that of the SVD.
    var sweeps = 1

    // MARK: Sizes

    func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        try check(group)
        let rule = rule(for: group)
        guard let rank = rule.rank(for: budget) else { return nil }
        if !rule.saves(rank) { return group.map { PlannedSize(dense: $0, because: Self.reason(rule, rank)) } }
        let plain = plainRank(group, budget)
        return group.map { member in
            PlannedSize(
                schema: SharedBasisOperator.schema,
                entry: SharedBasisOperator.entry(
                    rank: rank, group: group[0].module, isPivoted: storage == .pivot),
                macs: rule.macs(rank, of: member), tensors: tensors(of: member, rank, group[0], storage),
                alternative: plain.map { tensors(of: member, $0, group[0], .factors) })
        }
    }

    private func tensors(
        of member: GroupMember, _ rank: Int, _ first: GroupMember, _ storage: MethodSettings.Storage
    ) -> [PlannedTensor] {
        SharedBasisOperator.planned(
            member, rank: rank, group: first.module, storage: storage, basisType: first.factorType)
    }

    func check(_ group: [GroupMember]) throws(CompressionError) {
        for member in group where member.stored != nil {
            throw .impossible(
                module: member.module,
                reason: "it is stored as factors already, and a basis is shared between dense matrices; compress the "
                    + "original, or leave the sharing out")
        }
    }

    func rule(for group: [GroupMember]) -> RankRule {
        RankRule(
            rows: group.reduce(0) { $0 + $1.outFeatures }, columns: group[0].inFeatures, storage: storage,
            multiple: rankMultiple)
    }

    /// The rank of a plain basis that may suit the weights better than a pivoted one, whose rounding is larger; nil
    /// where pivots are not asked for, lose nothing, or a plain basis saves nothing. For a rank, one of as many
    /// numbers.
    private func plainRank(_ group: [GroupMember], _ budget: Budget) -> Int? {
        guard storage == .pivot, group[0].factorType.bytes < ElementType.float32.bytes else { return nil }
        var plain = rule(for: group)
        var found = plain.rank(for: budget)
        plain.storage = .factors
        if case .rank = budget {
            found = found.map { max(1, rule(for: group).numbers($0) / (plain.rows + plain.columns)) }
        } else {
            found = plain.rank(for: budget)
        }
        guard let rank = found, plain.saves(rank) else { return nil }
        return rank
    }

    private static func reason(_ rule: RankRule, _ rank: Int) -> String {
        guard rank < min(rule.rows, rule.columns) else {
            return "rank \(rank) is not below the smaller side of the group, \(rule.rows) × \(rule.columns)"
        }
        return "a shared basis of rank \(rank) would store \(rule.numbers(rank)) numbers, the group has "
            + "\(rule.rows * rule.columns)"
    }

    // MARK: Compressing

    func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        let members = group.map(\.member)
        try check(members)
        let rule = rule(for: members)
        if let rank = rule.rank(for: budget), !rule.saves(rank) {
            return group.map { _ in .dense(Self.reason(rule, rank)) }
        }
        let problem = try SharedBasisProblem(group, sweeps: sweeps)
        if case .error(let bound) = budget { return try search(problem, rule, bound) }
        var chosen = 1
        let svd = try problem.decompose { matrix in
            try TruncatedSVD(route: route).decompose(matrix, rule: rule, budget: budget, &chosen)
        }
        guard rule.saves(chosen) else { return group.map { _ in .dense(Self.reason(rule, chosen)) } }
        let form = try problem.form(of: svd, rank: chosen, storage: storage)
        if let plain = plainRank(members, budget), plain <= svd.rank {
            let other = try problem.form(of: svd, rank: plain, storage: .factors)
            if other.squaredError < form.squaredError { return try other.outcomes }
        }
        return try form.outcomes
    }

    /// The smallest rank at which no member is above the bound, as written.
    ///
    /// Bases are nested and coefficients fitted, so the error falls with the rank and halving an interval finds it.
    private func search(
        _ problem: SharedBasisProblem, _ rule: RankRule, _ bound: Double
    ) throws -> [CompressionOutcome] {
        let largest = (1..<max(2, min(rule.rows, rule.columns))).last { rule.saves($0) } ?? 0
        let svd = try problem.decompose { try TruncatedSVD(route: route).decompose($0, rank: largest) }
        // Ranks in units of the multiple: `low` misses the bound, `high` may meet it.
        var low = 0, high = largest / rankMultiple
        var best: SharedBasisForm?
        while low < high {
            let middle = best == nil ? high : (low + high) / 2
            if middle == low { break }
            let form = try problem.form(of: svd, rank: middle * rankMultiple, storage: storage)
            if form.largestError <= bound {
                best = form
                high = middle
            } else {
                low = middle
            }
        }
        guard let best else {
            return problem.tasks.map { _ in .dense("no shared basis that is smaller meets the error bound \(bound)") }
        }
        return try best.outcomes
    }
}

extension RankRule {
    /// Multiply-adds per token of one member: the basis and its own coefficients.
    func macs(_ rank: Int, of member: GroupMember) -> Int {
        let basis = storage == .pivot ? rank * (columns - rank) : rank * columns
        return basis + rank * member.outFeatures
    }
}
