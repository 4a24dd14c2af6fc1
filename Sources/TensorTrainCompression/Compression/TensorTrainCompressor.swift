import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors

/// Every matrix as a tensor train in the metric of its objective.
///
/// Plain objectives are solved by TT-SVD. With metrics the cores are fitted by alternating least squares in them
/// (`TrainFit`), which starts from a TT-SVD and never gets worse.
///
/// What a budget gives a matrix (m × n):
/// - `keep ρ`: the ranks that the shape gives for ⌊ρ·m·n⌋ numbers (`TrainModes.ranks(within:)`). They do not depend on
///   the weights, so that a plan states the exact bytes. For two cores, the default, there is a single bond and hence no
///   better choice; for more, `BondSpectra.ranks(within:)` finds the ranks that the spectra recommend, for use as `tt-ranks`.
/// - `rank R`: R on every bond, or the whole bond where it is narrower.
/// - `options`: the ranks of `tt-ranks`.
/// - `energy F`, `error F`: the smallest train by the spectra of the bonds (`BondSpectra`); an error bound holds for the
///   numbers as written.
public struct TensorTrainCompressor: Compressor {
    public static let method = "tt"
    public static var optionNames: [String] { TensorTrainOptions.names }
    public static var sizeOptionNames: [String] { ["tt-ranks"] }

    /// - Parameter ranks: r₀ … r_d, the ones at both ends included.
    public static func sizeOptions(ranks: [Int]) -> [String: String]? {
        guard ranks.count > 2 else { return nil }
        return ["tt-ranks": ranks.dropFirst().dropLast().map(String.init).joined(separator: ",")]
    }

    public var options: TensorTrainOptions
    public var route: TruncatedSVD.Route
    /// Ranks are multiples of this where the budget and the bond allow one.
    public var rankMultiple: Int

    public init(
        options: TensorTrainOptions = TensorTrainOptions(), route: TruncatedSVD.Route = .automatic, rankMultiple: Int = 1
    ) {
        self.options = options
        self.route = route
        self.rankMultiple = rankMultiple
    }

    public init(_ settings: MethodSettings) throws(CompressionError) {
        if settings.storage == .pivot {
            throw .badOption(name: "storage", reason: "tt stores its cores whole; only svd leaves out redundant numbers")
        }
        self.init(
            options: try TensorTrainOptions(settings), route: settings.route, rankMultiple: settings.rankMultiple)
    }

    public func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        var sizes: [PlannedSize] = []
        for member in group {
            guard let modes = try options.modes(of: member) else {
                sizes.append(PlannedSize(dense: member, because: Self.tooSmall(member)))
                continue
            }
            guard let ranks = try ranks(of: member, modes, budget: budget) else { return nil }
            sizes.append(
                Self.saves(modes, ranks)
                    ? Self.planned(member, modes, ranks)
                    : PlannedSize(dense: member, because: Self.reason(member, modes, ranks)))
        }
        return sizes
    }

    public func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        try group.map { try compress($0, budget: budget) }
    }

    private func compress(_ task: CompressionTask, budget: Budget) throws -> CompressionOutcome {
        let member = task.member
        guard let modes = try options.modes(of: member) else { return .dense(Self.tooSmall(member)) }
        if let ranks = try ranks(of: member, modes, budget: budget) {
            guard Self.saves(modes, ranks) else { return .dense(Self.reason(member, modes, ranks)) }
            return try result(task, TrainProblem(task.objective, modes: modes, route: route), ranks)
        }
        let problem = try TrainProblem(task.objective, modes: modes, route: route)
        switch budget {
        case .energy(let share): return try smallest(task, problem, leaving: 1 - share)
        case .error(let bound): return try smallest(task, problem, bound: bound)
        case .keep, .rank, .options: preconditionFailure("these budgets give ranks")
        }
    }

    // MARK: - Sizes

    /// The ranks that a size gives; nil where the budget is an accuracy.
    private func ranks(
        of member: GroupMember, _ modes: TrainModes, budget: Budget
    ) throws(CompressionError) -> [Int]? {
        if let ranks = options.ranks, budget == .options {
            if let objection = modes.objection(toRanks: ranks) {
                throw .impossible(module: member.module, reason: "--tt-ranks do not fit its size: \(objection)")
            }
            return ranks
        }
        if options.ranks != nil {
            throw .badOption(name: "tt-ranks", reason: "gives the size itself; leave out the other target")
        }
        switch budget {
        case .keep(let fraction):
            let parameters = Int((fraction * Double(member.parameters)).rounded(.down))
            return modes.ranks(within: parameters, multiple: rankMultiple)
        case .rank(let rank):
            return modes.ranks(cappedAt: rank >= rankMultiple ? rank / rankMultiple * rankMultiple : rank)
        case .options:
            throw .impossible(module: member.module, reason: "tt takes its size from --tt-ranks, --keep or --rank; none is given")
        case .energy, .error:
            return nil
        }
    }

    private static func saves(_ modes: TrainModes, _ ranks: [Int]) -> Bool {
        modes.parameters(ranks: ranks) < modes.outFeatures * modes.inFeatures
    }

    private static func planned(_ member: GroupMember, _ modes: TrainModes, _ ranks: [Int]) -> PlannedSize {
        let all = [1] + ranks + [1], dtype = TensorDType(member.factorType)
        return PlannedSize(
            schema: TensorTrainOperator.schema, entry: TensorTrainOperator.entry(modes, ranks: all),
            macs: TensorTrainOperator.macs(modes, ranks: all),
            tensors: (0..<modes.order).map {
                PlannedTensor(
                    TensorTrainOperator.tensorName($0), dtype, [all[$0], modes.outputs[$0], modes.inputs[$0], all[$0 + 1]])
            })
    }

    private static func reason(_ member: GroupMember, _ modes: TrainModes, _ ranks: [Int]) -> String {
        let list = ranks.map(String.init).joined(separator: ",")
        return "cores of ranks \(list) would store \(modes.parameters(ranks: ranks)) numbers, the matrix has \(member.parameters)"
    }

    private static func tooSmall(_ member: GroupMember) -> String {
        "\(member.outFeatures)×\(member.inFeatures) has no factors to divide over \(TensorTrainOptions.defaultOrder) cores"
    }

    // MARK: - Results

    /// The train of given ranks.
    private func result(_ task: CompressionTask, _ problem: TrainProblem, _ ranks: [Int]) throws -> CompressionOutcome {
        let solution = try problem.solve(ranks: ranks)
        let train = solution.train.balanced()
        let compressed = TensorTrainOperator(train, storedAs: task.member.factorType)
        var evidence = CompressionEvidence(solver: solution.solver)
        evidence.energyKept = 1 - solution.relativeError * solution.relativeError
        evidence.shift = task.objective.shift
        evidence.roundingError = Self.roundingError(train, storedAs: compressed, target: task.objective.target)
        for (name, value) in solution.details { evidence.details[name] = value }
        return .compressed(compressed, evidence)
    }

    /// The train that the spectra of the bonds recommend for a share of Σσ² to lose.
    private func smallest(
        _ task: CompressionTask, _ problem: TrainProblem, leaving share: Double
    ) throws -> CompressionOutcome {
        let ranks = raised(try problem.spectra().ranks(leaving: share * problem.spectra().squaredNorm), problem.modes)
        guard Self.saves(problem.modes, ranks) else { return .dense(Self.reason(task.member, problem.modes, ranks)) }
        return try result(task, problem, ranks)
    }

    /// The smallest train found whose numbers as written keep an error bound.
    ///
    /// The spectra bound the error from above and rounding adds to it, so the share to lose is corrected by the error that
    /// is measured, towards more where there is room.
    private func smallest(
        _ task: CompressionTask, _ problem: TrainProblem, bound: Double
    ) throws -> CompressionOutcome {
        var share = bound * bound, tried: Set<[Int]> = []
        var best: (outcome: CompressionOutcome, parameters: Int)?
        for _ in 0..<Self.boundAttempts {
            let ranks = raised(try problem.spectra().ranks(leaving: share * problem.spectra().squaredNorm), problem.modes)
            let parameters = problem.modes.parameters(ranks: ranks)
            guard tried.insert(ranks).inserted else { break }
            guard Self.saves(problem.modes, ranks), parameters < best?.parameters ?? .max else {
                if best == nil { return .dense(Self.reason(task.member, problem.modes, ranks)) }
                break
            }
            let outcome = try result(task, problem, ranks)
            guard case .compressed(let compressed, _) = outcome else { return outcome }
            let error = task.objective.relativeError(of: compressed)
            if error <= bound { best = (outcome, parameters) }
            if error == 0 { break }
            let correction = bound * bound / (error * error)
            share *= error <= bound ? min(correction, Self.largestStep) : 0.98 * min(correction, 0.98)
        }
        if let best { return best.outcome }
        return .dense(
            "cores rounded to \(TensorDType(task.member.factorType).rawValue) miss the error bound \(bound)")
    }

    /// Trains tried for one error bound.
    private static let boundAttempts = 6
    /// Most that a share grows from one train to the next: spectra are steep.
    private static let largestStep = 4.0

    private func raised(_ ranks: [Int], _ modes: TrainModes) -> [Int] {
        guard rankMultiple > 1 else { return ranks }
        return zip(ranks, modes.bondLimits).map { min(($0 + rankMultiple - 1) / rankMultiple * rankMultiple, $1) }
    }

    /// ‖W'_stored − W'_computed‖_F / ‖T‖_F.
    private static func roundingError(
        _ train: TensorTrain, storedAs compressed: TensorTrainOperator, target: MatrixOperand
    ) -> Double {
        let norm = sumOfSquares(target)
        guard norm > 0 else { return 0 }
        let difference = sumOfSquaredDifferences(
            MatrixOperand(train.reconstruct()), MatrixOperand(compressed.reconstruct()))
        return (difference / norm).squareRoot()
    }
}
