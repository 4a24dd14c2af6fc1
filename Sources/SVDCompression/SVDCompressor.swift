import CompressionCore
import LinearAlgebra
import MatrixCore
import Safetensors

/// Truncated SVD of every matrix, in the metric of its objective.
///
/// Minimises ‖L_oᵀ(T − W')L_i‖_F over W' of rank r, for a target T (m × n) and metrics L_iL_iᵀ, L_oL_oᵀ:
///
///     U S Vᵀ = SVD(L_oᵀ T L_i),   W' = L_o⁻ᵀ U_r U_rᵀ L_oᵀ T
///
/// The projection form needs no inverse of the input metric, so it cannot fail on a singular Gram matrix; it equals
/// L_o⁻ᵀ U_r S_r V_rᵀ L_i⁻¹ wherever that exists. With both metrics the identity this is the plain truncated SVD.
///
/// Stored as two factors, each component split evenly between them so that both round equally well; or as pivot rows and
/// coefficients (`PivotForm`), which at equal size have a higher rank. Where rounding costs pivot storage more than the
/// rank gains, the matrix is stored as the factors that the same budget allows.
///
/// Matrices of neighbouring blocks, or of the experts of a block, may share one factor (`SharedBasisCompression`).
///
/// A matrix that is stored as factors of low rank is truncated further from these (`ProductDecomposition`).
///
/// - Cost: that of `TruncatedSVD` of an m × n matrix; with a Gram matrix also a product of m·n² operations.
/// - Source: SVD-LLM (arXiv 2403.07378, §3) states the input-metric optimum through L⁻¹; the projection form is that of
///   SVD-free PCA of the outputs (COALA, arXiv 2507.07580).
public struct SVDCompressor: Compressor {
    public static let method = "svd"
    public static let optionNames = SharedBasisOptions.names
    public static let truncatesFactors = true

    public var route: TruncatedSVD.Route
    public var storage: MethodSettings.Storage
    /// Ranks are multiples of this where the budget allows one.
    public var rankMultiple: Int
    /// Which matrices have a basis in common.
    var sharing = SharedBasisOptions()

    public init(
        route: TruncatedSVD.Route = .automatic, storage: MethodSettings.Storage = .factors, rankMultiple: Int = 1
    ) {
        self.route = route
        self.storage = storage
        self.rankMultiple = rankMultiple
    }

    public init(_ settings: MethodSettings) throws(CompressionError) {
        self.init(route: settings.route, storage: settings.storage, rankMultiple: settings.rankMultiple)
        sharing = try SharedBasisOptions(settings)
    }

    public var grouping: Grouping { sharing.grouping }
    public var groupedProjections: GroupedProjections { sharing.projections }

    var sharedBasis: SharedBasisCompression {
        SharedBasisCompression(
            route: route, storage: storage, rankMultiple: rankMultiple, sweeps: sharing.sweeps)
    }

    // MARK: Sizes

    public func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        if budget == .options, let member = group.first {
            throw .impossible(module: member.module, reason: "svd has no option that gives a size; give --keep or --rank")
        }
        if group.count > 1 { return try sharedBasis.size(of: group, budget: budget) }
        var sizes: [PlannedSize] = []
        for member in group {
            let rule = rule(for: member)
            guard let rank = rule.rank(for: budget) else { return nil }
            sizes.append(
                rule.saves(rank)
                    ? planned(member, rank, budget) : PlannedSize(dense: member, because: Self.reason(rule, rank)))
        }
        return sizes
    }

    private func planned(_ member: GroupMember, _ rank: Int, _ budget: Budget) -> PlannedSize {
        let dtype = TensorDType(member.factorType), rule = rule(for: member)
        func factors(_ rank: Int) -> [PlannedTensor] {
            [
                PlannedTensor("BLinear.weight", dtype, [rank, member.inFeatures]),
                PlannedTensor("ALinear.weight", dtype, [member.outFeatures, rank]),
            ]
        }
        let entry: JSONObject = ["rank": JSON(rank)]
        switch storage {
        case .factors:
            return PlannedSize(
                schema: FactorOperator.schema, entry: entry, macs: rule.numbers(rank), tensors: factors(rank))
        case .pivot:
            return PlannedSize(
                schema: PivotOperator.schema, entry: entry, macs: rule.numbers(rank),
                tensors: [
                    PlannedTensor("pivot.weight", dtype, [rank, member.inFeatures]),
                    PlannedTensor("rest.weight", dtype, [member.outFeatures - rank, rank]),
                    PlannedTensor("pivot.index", .i32, [rank], isIndex: true),
                ], alternative: factorRanks(for: budget, pivotRank: rank, member).map { factors($0.stored) })
        }
    }

    func rule(for member: GroupMember) -> RankRule {
        RankRule(
            rows: member.outFeatures, columns: member.inFeatures, storage: storage, multiple: rankMultiple,
            stored: member.stored)
    }

    /// The ranks of the factors that pivot storage is held against, and of those stored if they win; nil where factors
    /// would be no smaller than the matrix.
    ///
    /// For a size, what factors of that size have; for a rank, factors of as many numbers; for an accuracy, as many
    /// numbers for the comparison and the same rank for the result.
    private func factorRanks(
        for budget: Budget, pivotRank: Int, _ member: GroupMember
    ) -> (compared: Int, stored: Int)? {
        var rule = rule(for: member)
        let equalNumbers = max(1, rule.numbers(pivotRank) / (member.outFeatures + member.inFeatures))
        rule.storage = .factors
        let ranks: (compared: Int, stored: Int)
        switch budget {
        case .keep: ranks = (rule.rank(for: budget) ?? 1, rule.rank(for: budget) ?? 1)
        case .rank: ranks = (equalNumbers, equalNumbers)
        case .energy, .error, .options: ranks = (equalNumbers, pivotRank)
        }
        return rule.saves(ranks.stored) && ranks.stored <= pivotRank ? ranks : nil
    }

    private static func reason(_ rule: RankRule, _ rank: Int) -> String {
        if let stored = rule.stored {
            return "rank \(rank) would store \(rule.numbers(rank)) numbers, the factors of rank \(stored.rank) that the "
                + "matrix has are \(stored.parameters)"
        }
        guard rank < min(rule.rows, rule.columns) else {
            return "rank \(rank) is not below the smaller side of \(rule.rows) × \(rule.columns)"
        }
        let parts = rule.storage == .factors ? "factors" : "pivot rows and coefficients"
        return "\(parts) of rank \(rank) would store \(rule.numbers(rank)) numbers, the matrix has "
            + "\(rule.rows * rule.columns)"
    }

    // MARK: Compressing

    public func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        if group.count > 1 { return try sharedBasis.compress(group, budget: budget) }
        return try group.map { task in
            let shared = SharedTruncation(task.objective, route: route, [request(task, budget)])
            return try compress(task, budget: budget, shared)
        }
    }

    /// One decomposition at the largest rank, whatever the storages and the budgets; by the randomised route, which
    /// depends on the rank, one for each. The largest rank comes first, because its pivot rows hold those of the others.
    public static func compress(
        _ group: [CompressionTask], variants: [CompressionVariant],
        receive: (_ variant: Int, [CompressionOutcome]) throws -> Void
    ) throws {
        let compressors = variants.compactMap { $0.compressor as? SVDCompressor }
        guard let task = group.first, group.count == 1, compressors.count == variants.count,
            compressors.allSatisfy({ $0.route == compressors[0].route })
        else { return try compressOneByOne(group, variants, receive: receive) }
        let requests = zip(compressors, variants).map { $0.request(task, $1.budget) }
        let shared = SharedTruncation(
            task.objective, route: compressors[0].route,
            requests.filter { request in request.rule.rank(for: request.budget).map(request.rule.saves) ?? true })
        let ranks = requests.map { $0.computedSize ?? 0 }
        for index in variants.indices.sorted(by: { (ranks[$1], $0) < (ranks[$0], $1) }) {
            try receive(index, [try compressors[index].compress(task, budget: variants[index].budget, shared)])
        }
    }

    private func request(_ task: CompressionTask, _ budget: Budget) -> SharedTruncation.Request {
        SharedTruncation.Request(rule: rule(for: task.member), budget: budget)
    }

    func compress(
        _ task: CompressionTask, budget: Budget, _ shared: SharedTruncation
    ) throws -> CompressionOutcome {
        guard case .error(let bound) = budget else { return try truncate(task, budget: budget, shared) }
        // A bound holds for the numbers as written: what rounding adds, the truncation must leave over.
        var allowed = bound
        for _ in 0..<Self.boundAttempts {
            let outcome = try truncate(task, budget: .error(allowed), shared)
            guard case .compressed(let compressed, let evidence) = outcome else { return outcome }
            let error = task.objective.relativeError(of: compressed)
            if error <= bound { return outcome }
            let truncation = 1 - (evidence.energyKept ?? 1)
            let left = bound * bound - Self.roundingMargin * (error * error - truncation)
            guard left > 0 else { break }
            allowed = min(left.squareRoot(), 0.999 * allowed)
        }
        return .dense("factors rounded to \(TensorDType(task.member.factorType).rawValue) miss the error bound \(bound)")
    }

    /// Truncations tried for one error bound; the second nearly always fits.
    private static let boundAttempts = 6
    /// Rounding of other factors may be a little more than that of the ones measured.
    private static let roundingMargin = 1.05

    private func truncate(
        _ task: CompressionTask, budget: Budget, _ shared: SharedTruncation
    ) throws -> CompressionOutcome {
        let rule = rule(for: task.member)
        if let rank = rule.rank(for: budget), !rule.saves(rank) { return .dense(Self.reason(rule, rank)) }
        let start = ContinuousClock.now
        let (svd, rank) = try shared.truncation(for: SharedTruncation.Request(rule: rule, budget: budget))
        var stages = StageTimes(decomposing: (ContinuousClock.now - start) / .seconds(1), svd.evidence)
        guard rule.saves(rank) else { return .dense(Self.reason(rule, rank)) }
        let forms = TruncatedForms(task: task, shared: shared, svd: svd)
        switch storage {
        case .factors:
            let factors = stages.timed("measure") { forms.factors(rank: rank) }
            return forms.outcome(factors, stages)
        case .pivot: return try pivotOrFactors(forms, budget: budget, rank: rank, &stages)
        }
    }

    /// Relative difference of two errors that rounding to Float explains.
    private static let floatMargin = 1e-6

    /// What an error that is measured in Float may be off by, beside the least one that a rank can have.
    private static let certainShare = 1e-3
    private static let certainDistance = 1e-6

    /// Pivot storage, or factors where rounding makes these better.
    ///
    /// Both are compared as written; where pivot storage is better than any matrix of the rank of the factors can be,
    /// the spectrum says so and they are not made. An accuracy is asked of the numbers, so there the comparison is with
    /// factors of as many numbers, and the factors that are taken have the rank that the accuracy needs.
    private func pivotOrFactors(
        _ forms: TruncatedForms, budget: Budget, rank: Int, _ stages: inout StageTimes
    ) throws -> CompressionOutcome {
        let pivot = try stages.timed("pivot") { try forms.pivot(rank: rank) }
        guard let ranks = factorRanks(for: budget, pivotRank: rank, forms.task.member) else {
            return forms.outcome(pivot, stages)
        }
        let least = forms.leastError(rank: ranks.compared)
        if pivot.error < (1 - Self.certainShare) * least - Self.certainDistance { return forms.outcome(pivot, stages) }
        let factors = stages.timed("compare") { forms.factors(rank: ranks.compared) }
        // In Float both round alike: at equal rank the smaller form is the better one.
        let margin = forms.task.member.factorType.bytes < ElementType.float32.bytes ? 1 : 1 + Self.floatMargin
        if pivot.error <= factors.error * margin { return forms.outcome(pivot, stages) }
        let stored =
            ranks.stored == ranks.compared ? factors : stages.timed("compare") { forms.factors(rank: ranks.stored) }
        guard case .compressed(let form, var evidence) = forms.outcome(stored, stages) else {
            return forms.outcome(stored, stages)
        }
        evidence.details["pivot_storage_error"] = JSON(pivot.error)
        return .compressed(form, evidence)
    }
}

extension StageTimes {
    /// Divides the seconds of a truncation by what its evidence says of them. One that another has computed along took
    /// less than its own Gram matrix, which counts with the other.
    fileprivate init(decomposing seconds: Double, _ evidence: SVDEvidence) {
        self.init()
        func sum(_ names: Set<String>) -> Double {
            evidence.stages.filter { names.contains($0.name) }.reduce(0) { $0 + $1.seconds }
        }
        let gram = sum(["gram"]), factors = sum(["vectors", "product"])
        let isOwn = seconds > gram + factors
        if isOwn {
            add("gram", gram)
            add("eigen", seconds - gram - factors)
        }
        add("factors", isOwn ? factors : seconds)
    }
}
