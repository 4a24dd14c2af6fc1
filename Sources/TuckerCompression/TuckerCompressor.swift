import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors

/// Tucker forms of matrices and of stacks of matrices, in the metric of their objectives.
///
/// A matrix becomes U₁ C U₂, its truncated SVD with the core apart. Projections of a block, experts, or consecutive
/// layers become one tensor whose factors are stored once (`TuckerLayout`). Budgets:
///
/// - `keep`, `rank` and the ranks that `--tucker-ranks` states follow from shapes (`TuckerRankRule`);
/// - `energy` and `error` follow from the weights: the cheapest ranks whose HOSVD keeps enough (`TuckerSpectrum`),
///   which HOOI then only improves. An error bound holds for every member, for the numbers as written.
///
/// After the factors are rounded to their type, the core is fitted to them (`TuckerCoreFit`) and rounded last.
///
/// - Source: Moar et al., arXiv 2405.06626 (matrices); TensorLLM, arXiv 2501.15674 (heads); TD-MoE (experts), with the
///   inputs whitened by G^(+1/2), which is the optimum of Σ‖(W_k − W'_k)X‖².
public struct TuckerCompressor: Compressor {
    public static let method = "tucker"
    public static let optionNames = TuckerOptions.names
    public static let sizeOptionNames = ["tucker-ranks"]

    public static func sizeOptions(ranks: [Int]) -> [String: String]? {
        ranks.isEmpty ? nil : ["tucker-ranks": ranks.map(String.init).joined(separator: ",")]
    }

    let options: TuckerOptions
    let route: TruncatedSVD.Route
    /// Ranks of rows and columns are multiples of this where the budget allows one.
    let rankMultiple: Int
    let storage: MethodSettings.Storage

    public init(_ settings: MethodSettings) throws(CompressionError) {
        options = try TuckerOptions(settings)
        route = settings.route
        rankMultiple = settings.rankMultiple
        storage = settings.storage
    }

    public var grouping: Grouping { options.grouping }

    public func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        if options.bundle != nil, group.count > 1 {
            var sizes: [PlannedSize] = []
            for member in group {
                guard let size = try self.size(of: [member], budget: budget) else {
                    if Self.isBundle(group) { throw Self.needsRank(member) }
                    return nil
                }
                sizes += size
            }
            return sizes
        }
        let layout = try layout(group)
        switch try choice(layout, group, budget) {
        case .byWeights:
            return nil
        case .dense(let reason):
            return group.map { PlannedSize(dense: $0, because: reason) }
        case .ranks(let ranks):
            let storage = TuckerStorage(layout: layout, ranks: ranks, group: group[0].module)
            let alternative = try plainRanks(layout, group, budget).map {
                TuckerStorage(layout: layout.plain, ranks: $0, group: group[0].module)
            }
            return group.enumerated().map {
                storage.planned(member: $0, type: $1.factorType, alternative: alternative)
            }
        }
    }

    public func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        let members = group.map(\.member)
        if let strength = options.bundle, group.count > 1 {
            guard Self.isBundle(members) else { return try group.flatMap { try compress([$0], budget: budget) } }
            switch try choice(try layout([members[0]]), [members[0]], budget) {
            case .ranks(let ranks): return try bundle(group, ranks, strength: strength)
            case .dense(let reason): return group.map { _ in .dense(reason) }
            case .byWeights: throw Self.needsRank(members[0])
            }
        }
        let layout = try layout(members)
        switch try choice(layout, members, budget) {
        case .dense(let reason):
            return group.map { _ in .dense(reason) }
        case .ranks(let ranks):
            let form = try TuckerForm(group, layout, decomposition: decomposition)
            let found = try form.outcomes(ranks, layout.storage).members
            guard let plain = try plainRanks(layout, members, budget) else { return found }
            let other = try form.outcomes(plain, .factors).members
            return form.squaredError(other) < form.squaredError(found) ? other : found
        case .byWeights:
            return try TuckerAccuracySearch(group, layout, decomposition: decomposition, multiple: rankMultiple)
                .outcomes(budget)
        }
    }

    private static func needsRank(_ member: GroupMember) -> CompressionError {
        .impossible(module: member.module, reason: "a bundle has one rank, from a size; give --keep or --rank")
    }

    var decomposition: TuckerDecomposition {
        var decomposition = TuckerDecomposition(algorithm: options.algorithm, route: route)
        if let sweeps = options.sweeps { (decomposition.sweeps, decomposition.tolerance) = (sweeps, 0) }
        return decomposition
    }

    func layout(_ group: [GroupMember]) throws(CompressionError) -> TuckerLayout {
        var layout = try TuckerLayout(group, byHeads: options.group == .heads)
        layout.storage = storage
        return layout
    }

    /// The ranks of plain factors that may suit the weights better than those with pivots, whose rounding is larger;
    /// nil where pivots are not asked for, lose nothing, or plain factors save nothing. For a rank of a matrix, those
    /// of as many numbers.
    func plainRanks(
        _ layout: TuckerLayout, _ group: [GroupMember], _ budget: Budget
    ) throws(CompressionError) -> TuckerRanks? {
        guard storage == .pivot, ![.float32, .float64].contains(group[0].factorType) else { return nil }
        var budget = budget
        if case .rank = budget, layout.kind == .matrix, case .ranks(let ranks) = try choice(layout, group, budget) {
            budget = .keep((Double(layout.parameters(ranks)) + 0.5) / Double(layout.count))
        }
        guard case .ranks(let ranks) = try choice(layout.plain, group, budget) else { return nil }
        return ranks
    }

    /// What shapes say about a group.
    private enum Choice {
        case ranks(TuckerRanks)
        case dense(String)
        case byWeights
    }

    private func choice(
        _ layout: TuckerLayout, _ group: [GroupMember], _ budget: Budget
    ) throws(CompressionError) -> Choice {
        var ranks: TuckerRanks?
        if budget == .options {
            guard let stated = options.ranks else {
                throw .badOption(name: "tucker-ranks", reason: "needed where no other option says how much to keep")
            }
            guard let known = layout.ranks(stated) else {
                return .dense("\(stated.count) ranks are stated, its Tucker form has \(layout.axes.count)")
            }
            try check(known, layout, group[0].module)
            ranks = known
        } else if options.ranks != nil {
            throw .badOption(name: "tucker-ranks", reason: "says how much to keep; give no other target beside it")
        } else {
            ranks = TuckerRankRule(layout: layout, multiple: rankMultiple, form: options.form).ranks(for: budget)
        }
        guard let ranks else { return .byWeights }
        return layout.saves(ranks) ? .ranks(ranks) : .dense(layout.reason(ranks))
    }

    private func check(_ ranks: TuckerRanks, _ layout: TuckerLayout, _ module: String) throws(CompressionError) {
        for mode in layout.axes where ranks[mode] > layout.bond(mode, ranks) {
            throw .impossible(
                module: module,
                reason: "rank \(ranks[mode]) of the \(mode.name) is above \(layout.bond(mode, ranks)), "
                    + "what their number and the other ranks leave of it")
        }
    }
}

extension TuckerMode {
    /// As messages name it.
    var name: String {
        switch self {
        case .members: "members"
        case .rows: "rows"
        case .columns: "columns"
        }
    }
}

extension TuckerLayout {
    /// The same with plain factors.
    var plain: TuckerLayout {
        var layout = self
        layout.storage = .factors
        return layout
    }

    /// Why ranks that save nothing leave a group dense.
    func reason(_ ranks: TuckerRanks) -> String {
        let text = stated(ranks).map(String.init).joined(separator: " × ")
        return "a Tucker form of ranks \(text) would store \(parameters(ranks)) numbers, "
            + (kind == .matrix ? "the matrix has \(count)" : "the group has \(count)")
    }
}
