import CompressionCore
import Kernels
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
/// L_o⁻ᵀ U_r S_r V_rᵀ L_i⁻¹ wherever that exists. With both metrics the identity this is the plain truncated SVD. Each
/// component is split evenly between the factors, √σ on both sides in the plain case, so that both round equally well.
///
/// - Cost: that of `TruncatedSVD` of an m × n matrix; with a Gram matrix also a product of m·n² operations.
/// - Source: SVD-LLM (arXiv 2403.07378, §3) states the input-metric optimum through L⁻¹; the projection form is that of
///   SVD-free PCA of the outputs (COALA, arXiv 2507.07580).
public struct SVDCompressor: Compressor {
    public static let method = "svd"

    public var route: TruncatedSVD.Route
    /// Ranks are multiples of this where the budget allows one.
    public var rankMultiple: Int

    public init(route: TruncatedSVD.Route = .automatic, rankMultiple: Int = 1) {
        self.route = route
        self.rankMultiple = rankMultiple
    }

    public init(_ settings: MethodSettings) throws(CompressionError) {
        guard settings.storage == .factors else { throw .badOption(name: "storage", reason: "svd stores factors") }
        self.init(route: settings.route, rankMultiple: settings.rankMultiple)
    }

    public func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        if budget == .options, let member = group.first {
            throw .impossible(module: member.module, reason: "svd has no option that gives a size; give --keep or --rank")
        }
        var sizes: [PlannedSize] = []
        for member in group {
            let rule = rule(for: member)
            guard let rank = rule.rank(for: budget) else { return nil }
            sizes.append(
                rule.saves(rank)
                    ? Self.planned(member, rank) : PlannedSize(dense: member, because: Self.reason(member, rank)))
        }
        return sizes
    }

    public func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        try group.map { try compress($0, budget: budget) }
    }

    private func compress(_ task: CompressionTask, budget: Budget) throws -> CompressionOutcome {
        guard case .error(let bound) = budget else { return try truncate(task, budget: budget) }
        // A bound holds for the numbers as written: what rounding adds, the truncation must leave over.
        var allowed = bound
        for _ in 0..<Self.boundAttempts {
            let outcome = try truncate(task, budget: .error(allowed))
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

    private func truncate(_ task: CompressionTask, budget: Budget) throws -> CompressionOutcome {
        let member = task.member
        let rule = rule(for: member)
        if let rank = rule.rank(for: budget), !rule.saves(rank) { return .dense(Self.reason(member, rank)) }
        let problem = WhitenedProblem(task.objective)
        var chosen = 1
        let result = try TruncatedSVD(route: route).decompose(problem.matrix, rule: rule, budget: budget, &chosen)
        guard rule.saves(chosen) else { return .dense(Self.reason(member, chosen)) }
        let factors = problem.factors(of: result)
        let compressed = FactorOperator(
            a: MatrixOperand(factors.a), b: MatrixOperand(factors.b), storedAs: member.factorType)
        var evidence = CompressionEvidence(solver: result.evidence.solver.rawValue)
        evidence.energyKept = Self.energyKept(result)
        evidence.shift = problem.shift
        evidence.roundingError = Self.roundingError(factors, storedAs: compressed, target: task.objective.target)
        if result.evidence.solver == .randomized {
            evidence.details["excess_error"] = JSON(result.evidence.excessEstimate)
        }
        return .compressed(compressed, evidence)
    }

    private func rule(for member: GroupMember) -> RankRule {
        RankRule(rows: member.outFeatures, columns: member.inFeatures, multiple: rankMultiple)
    }

    private static func planned(_ member: GroupMember, _ rank: Int) -> PlannedSize {
        let dtype = TensorDType(member.factorType)
        return PlannedSize(
            schema: FactorOperator.schema, entry: ["rank": JSON(rank)],
            macs: rank * (member.outFeatures + member.inFeatures),
            tensors: [
                PlannedTensor("BLinear.weight", dtype, [rank, member.inFeatures]),
                PlannedTensor("ALinear.weight", dtype, [member.outFeatures, rank]),
            ])
    }

    private static func reason(_ member: GroupMember, _ rank: Int) -> String {
        let factors = rank * (member.outFeatures + member.inFeatures)
        return "factors of rank \(rank) would store \(factors) numbers, the matrix has \(member.parameters)"
    }

    private static func energyKept(_ result: SVDResult) -> Double {
        let norm = result.evidence.norm
        guard norm > 0 else { return 1 }
        let lost = result.evidence.truncationError / norm
        return 1 - lost * lost
    }

    /// ‖A'B' − AB‖_F / ‖T‖_F for the factors as stored against those computed.
    private static func roundingError(
        _ factors: (a: Matrix, b: Matrix), storedAs compressed: FactorOperator, target: MatrixOperand
    ) -> Double {
        let norm = sumOfSquares(target)
        guard norm > 0 else { return 0 }
        let computed = FactorOperator(a: MatrixOperand(factors.a), b: MatrixOperand(factors.b), storedAs: .float32)
        let difference = sumOfSquaredDifferences(
            MatrixOperand(computed.reconstruct()), MatrixOperand(compressed.reconstruct()))
        return (difference / norm).squareRoot()
    }
}

extension TruncatedSVD {
    /// Decomposes with the rank that a rule gives for a budget; `chosen` is that rank, also where it is above min(m, n).
    /// A rank that saves nothing is not computed.
    fileprivate func decompose(
        _ matrix: MatrixOperand, rule: RankRule, budget: Budget, _ chosen: inout Int
    ) throws -> SVDResult {
        if let rank = rule.rank(for: budget) {
            chosen = rank
            return try decompose(matrix, rank: rank)
        }
        return try decompose(matrix) { spectrum in
            chosen = rule.rank(for: budget, spectrum: spectrum)
            return rule.saves(chosen) ? chosen : 0
        }
    }
}
