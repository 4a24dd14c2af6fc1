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
///   the weights, so that a plan states the exact bytes. For two cores, the default, there is a single bond and hence
///   no better choice; for more, `BondSpectra.ranks(within:)` finds the ranks that the spectra recommend, for use as
///   `tt-ranks`.
/// - `rank R`: R on every bond, or the whole bond where it is narrower.
/// - `options`: the ranks of `tt-ranks`.
/// - `energy F`, `error F`: the smallest train by the spectra of the bonds (`BondSpectra`); an error bound holds for
///   the numbers as written.
///
/// Pivot storage leaves out the numbers that bonds make redundant (`PivotTrain`), so a size gives higher ranks.
/// Rounding to types below Float can cost more than that gains; where the error as written would be higher, the plain
/// cores are taken.
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
    public var storage: MethodSettings.Storage

    public init(
        options: TensorTrainOptions = TensorTrainOptions(), route: TruncatedSVD.Route = .automatic,
        rankMultiple: Int = 1,
        storage: MethodSettings.Storage = .factors
    ) {
        self.options = options
        self.storage = storage
        self.route = route
        self.rankMultiple = rankMultiple
    }

    public init(_ settings: MethodSettings) throws(CompressionError) {
        self.init(
            options: try TensorTrainOptions(settings), route: settings.route, rankMultiple: settings.rankMultiple,
            storage: settings.storage)
    }

    public func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        var sizes: [PlannedSize] = []
        for member in group {
            guard let modes = try options.modes(of: member) else {
                sizes.append(PlannedSize(dense: member, because: Self.tooSmall(member)))
                continue
            }
            guard let ranks = try ranks(of: member, modes, storage, budget: budget) else { return nil }
            guard saves(modes, ranks) else {
                sizes.append(PlannedSize(dense: member, because: reason(member, modes, ranks)))
                continue
            }
            let plain = try alternative(of: member, modes, budget: budget)
            sizes.append(planned(member, modes, ranks, plain: plain))
        }
        return sizes
    }

    public func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        try group.map { try compress($0, budget: budget) }
    }

    private func compress(_ task: CompressionTask, budget: Budget) throws -> CompressionOutcome {
        let member = task.member
        guard let modes = try options.modes(of: member) else { return .dense(Self.tooSmall(member)) }
        let ranks = try ranks(of: member, modes, storage, budget: budget)
        if let ranks, !saves(modes, ranks) { return .dense(reason(member, modes, ranks)) }
        let problem = try TrainProblem(task.objective, modes: modes, route: route)
        if let ranks {
            return try result(task, problem, ranks, plain: alternative(of: member, modes, budget: budget))
        }
        switch budget {
        case .energy(let share): return try smallest(task, problem, leaving: 1 - share)
        case .error(let bound):
            let outcome = try smallest(task, problem, bound: bound)
            guard case .dense = outcome, storage == .pivot else { return outcome }
            // Plain cores round less.
            var plain = self
            plain.storage = .factors
            return try plain.smallest(task, problem, bound: bound)
        case .keep, .rank, .options: preconditionFailure("these budgets give ranks")
        }
    }

    // MARK: - Sizes

    /// The ranks that a size gives; nil where the budget is an accuracy.
    private func ranks(
        of member: GroupMember, _ modes: TrainModes, _ storage: MethodSettings.Storage, budget: Budget
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
            return modes.ranks(within: parameters, multiple: rankMultiple) {
                Self.numbers(modes, $0, storage).numbers
            }
        case .rank(let rank):
            return modes.ranks(cappedAt: rank >= rankMultiple ? rank / rankMultiple * rankMultiple : rank)
        case .options:
            throw .impossible(
                module: member.module, reason: "tt takes its size from --tt-ranks, --keep or --rank; none is given")
        case .energy, .error:
            return nil
        }
    }

    /// Numbers and positions that a train of these ranks stores.
    private static func numbers(
        _ modes: TrainModes, _ ranks: [Int], _ storage: MethodSettings.Storage
    ) -> (numbers: Int, positions: Int) {
        let whole = modes.parameters(ranks: ranks)
        guard storage == .pivot else { return (whole, 0) }
        let saving = PivotTrain.saving(modes, ranks: ranks)
        return (whole - saving.numbers, saving.positions)
    }

    /// Whether a train is smaller than the matrix; a position counts as two numbers, its size in the smallest type.
    private func saves(_ modes: TrainModes, _ ranks: [Int]) -> Bool {
        let stored = Self.numbers(modes, ranks, storage)
        return stored.numbers + 2 * stored.positions < modes.outFeatures * modes.inFeatures
    }

    /// The ranks of the plain cores of the same size that are taken where pivot storage rounds worse; nil where there
    /// is no such choice: Float rounds neither, and at equal ranks the form that was asked for is the smaller one.
    private func alternative(
        of member: GroupMember, _ modes: TrainModes, budget: Budget
    ) throws(CompressionError) -> [Int]? {
        guard case .keep = budget, storage == .pivot, member.factorType.bytes < ElementType.float32.bytes,
            let ranks = try ranks(of: member, modes, .factors, budget: budget),
            modes.parameters(ranks: ranks) < member.parameters
        else { return nil }
        return ranks
    }

    private func planned(
        _ member: GroupMember, _ modes: TrainModes, _ ranks: [Int], plain: [Int]?
    ) -> PlannedSize {
        let all = [1] + ranks + [1]
        return PlannedSize(
            schema: TensorTrainOperator.schema, entry: TensorTrainOperator.entry(modes, ranks: all, storage: storage),
            macs: TensorTrainOperator.macs(modes, ranks: all), tensors: Self.tensors(member, modes, all, storage),
            alternative: plain.map { Self.tensors(member, modes, [1] + $0 + [1], .factors) })
    }

    private static func tensors(
        _ member: GroupMember, _ modes: TrainModes, _ ranks: [Int], _ storage: MethodSettings.Storage
    ) -> [PlannedTensor] {
        let dtype = TensorDType(member.factorType)
        return (0..<modes.order).flatMap { core -> [PlannedTensor] in
            let name = TensorTrainOperator.tensorName(core)
            let shape = modes.shape(ofCore: core, ranks: ranks)
            guard storage == .pivot, PivotTrain.isInterpolated(modes, ranks: ranks, core: core) else {
                return [PlannedTensor(name, dtype, shape)]
            }
            let rows = shape[0] * shape[1] * shape[2] - shape[3]
            return [
                PlannedTensor(name, dtype, [rows, shape[3]]),
                PlannedTensor(TensorTrainOperator.pivotName(core), .i32, [shape[3]], isIndex: true),
            ]
        }
    }

    private func reason(_ member: GroupMember, _ modes: TrainModes, _ ranks: [Int]) -> String {
        let list = ranks.map(String.init).joined(separator: ",")
        let stored = Self.numbers(modes, ranks, storage)
        let positions = stored.positions > 0 ? " and \(stored.positions) positions" : ""
        return "cores of ranks \(list) would store \(stored.numbers) numbers\(positions), "
            + "the matrix has \(member.parameters)"
    }

    private static func tooSmall(_ member: GroupMember) -> String {
        "\(member.outFeatures)×\(member.inFeatures) has no factors for \(TensorTrainOptions.defaultOrder) cores"
    }

    // MARK: - Results

    /// The train of given ranks; in pivot storage, the plain one of ranks `plain` where that is nearer as written.
    private func result(
        _ task: CompressionTask, _ problem: TrainProblem, _ ranks: [Int], plain: [Int]? = nil
    ) throws -> CompressionOutcome {
        let first = try form(task, problem, ranks, storage)
        guard let plain else { return .compressed(first.form, first.evidence) }
        let second = try form(task, problem, plain, .factors)
        let isWorse = task.objective.relativeError(of: first.form) > task.objective.relativeError(of: second.form)
        let chosen = isWorse ? second : first
        return .compressed(chosen.form, chosen.evidence)
    }

    private func form(
        _ task: CompressionTask, _ problem: TrainProblem, _ ranks: [Int], _ storage: MethodSettings.Storage
    ) throws -> (form: TensorTrainOperator, evidence: CompressionEvidence) {
        let solution = try problem.solve(ranks: ranks)
        let train = solution.train.balanced()
        var evidence = CompressionEvidence(solver: solution.solver)
        let form: TensorTrainOperator
        switch storage {
        case .factors:
            form = TensorTrainOperator(train, storedAs: task.member.factorType)
        case .pivot:
            let pivots = try PivotTrain(train)
            form = TensorTrainOperator(pivots, storedAs: task.member.factorType)
            evidence.details["largest_coefficient"] = JSON(pivots.largestCoefficient)
        }
        evidence.energyKept = 1 - solution.relativeError * solution.relativeError
        evidence.shift = task.objective.shift
        // Cores are computed in Float: stored as such they lose nothing.
        let isExact = storage == .factors && task.member.factorType == .float32
        evidence.roundingError =
            isExact ? 0 : Self.roundingError(train, storedAs: form, target: task.objective.target)
        evidence.details["spectra"] = .array(
            zip(solution.spectra, train.ranks.dropFirst()).enumerated().compactMap { bond, pair in
                SpectrumSample.json(pair.0, rank: pair.1, name: "bond \(bond + 1)")
            })
        for (name, value) in solution.details { evidence.details[name] = value }
        return (form, evidence)
    }

    /// The train that the spectra of the bonds recommend for a share of Σσ² to lose.
    private func smallest(
        _ task: CompressionTask, _ problem: TrainProblem, leaving share: Double
    ) throws -> CompressionOutcome {
        let ranks = raised(try problem.spectra().ranks(leaving: share * problem.spectra().squaredNorm), problem.modes)
        guard saves(problem.modes, ranks) else { return .dense(reason(task.member, problem.modes, ranks)) }
        return try result(task, problem, ranks)
    }

    /// The smallest train found whose numbers as written keep an error bound.
    ///
    /// The spectra bound the error from above and rounding adds to it, so the share to lose is corrected by the error
    /// that is measured, towards more where there is room.
    private func smallest(
        _ task: CompressionTask, _ problem: TrainProblem, bound: Double
    ) throws -> CompressionOutcome {
        var share = bound * bound
        var tried: Set<[Int]> = []
        var best: (outcome: CompressionOutcome, parameters: Int)?
        for _ in 0..<Self.boundAttempts {
            let ranks = raised(
                try problem.spectra().ranks(leaving: share * problem.spectra().squaredNorm), problem.modes)
            let parameters = problem.modes.parameters(ranks: ranks)
            guard tried.insert(ranks).inserted else { break }
            guard saves(problem.modes, ranks), parameters < best?.parameters ?? .max else {
                if best == nil { return .dense(reason(task.member, problem.modes, ranks)) }
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
