import CompressionCore
import Kernels
import MatrixCore
import Safetensors

/// MixT of every matrix: the nearest average of N overlapping local maps, in the metric of its objective.
///
/// The only size is N: more branches are fewer numbers. `keep` takes the smallest N whose numbers are within it,
/// `energy` and `error` the largest N that still meets them. The start is the weight matching in closed form, which is
/// the optimum in the plain metric; other metrics, and padded weights, are improved by conjugate gradients.
///
/// - Cost: a few passes over W in the plain metric, `MixTFit` otherwise.
/// - Source: Tensor Mixture, arXiv 2605.25344; see `MixTForm` for what differs.
public struct MixTCompressor: Compressor {
    public static let method = "mixt"
    public static let optionNames = ["mixt-base", "mixt-branches", "mixt-order", "mixt-padding"]
    public static let sizeOptionNames = ["mixt-branches"]

    /// d.
    public var base: Int
    /// N; nil lets the budget decide.
    public var branches: Int?
    public var padding: MixTForm.Padding
    public var order: OrderChoice
    /// Of the search for an order.
    public var seed: UInt64 = 0

    /// Where the rows and columns stand in the form.
    public enum OrderChoice: String, Sendable, CaseIterable {
        /// As in the matrix.
        case natural
        /// Where the form loses less (`MixTOrderSearch`).
        case fitted
    }

    public init(
        base: Int = 2, branches: Int? = nil, padding: MixTForm.Padding = .multiple, order: OrderChoice = .natural
    ) {
        self.base = base
        self.branches = branches
        self.padding = padding
        self.order = order
    }

    public init(_ settings: MethodSettings) throws(CompressionError) {
        guard settings.storage == .factors else {
            throw .badOption(name: "storage", reason: "MixT has no basis to leave out; its only storage is factors")
        }
        let base = try settings.integer("mixt-base", from: 2)
        // One branch is the matrix itself.
        let branches = try settings.integer("mixt-branches", from: 2)
        self.init(
            base: base ?? 2, branches: branches, padding: try settings.word("mixt-padding") ?? .multiple,
            order: try settings.word("mixt-order") ?? .natural)
        seed = settings.seed
    }

    public func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]? {
        var sizes: [PlannedSize] = []
        for member in group {
            guard let form = try form(of: member, budget: budget) else { return nil }
            sizes.append(
                Self.saves(form, member)
                    ? planned(member, form) : PlannedSize(dense: member, because: Self.reason(member, form)))
        }
        return sizes
    }

    public func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome] {
        try group.map { task in
            if let form = try form(of: task.member, budget: budget) {
                guard Self.saves(form, task.member) else { return .dense(Self.reason(task.member, form)) }
                return outcome(fit(form, task))
            }
            return try smallest(meeting: budget, task)
        }
    }

    // MARK: Which form

    /// The form that a size gives; nil where the budget is an accuracy.
    private func form(of member: GroupMember, budget: Budget) throws(CompressionError) -> MixTForm? {
        switch budget {
        case .keep(let fraction):
            return try form(of: member, within: Int((fraction * Double(member.parameters)).rounded(.down)))
        case .options:
            guard branches != nil else {
                throw .impossible(module: member.module, reason: "give --mixt-branches, or a target such as --keep")
            }
            return try forms(of: member)[0]
        case .rank:
            throw .impossible(
                module: member.module,
                reason: "MixT has no ranks; give --mixt-branches, --keep, --energy or --max-error")
        case .energy, .error:
            return nil
        }
    }

    /// The form with the fewest branches whose numbers are within a limit; the smallest form where none is.
    private func form(of member: GroupMember, within parameters: Int) throws(CompressionError) -> MixTForm {
        let forms = try forms(of: member)
        return forms.first { $0.parameters <= parameters } ?? forms.min { $0.parameters < $1.parameters } ?? forms[0]
    }

    /// Every form of a matrix, largest first: those of 2, 3, … branches, or the one asked for.
    private func forms(of member: GroupMember) throws(CompressionError) -> [MixTForm] {
        func form(_ branches: Int) -> MixTForm? {
            MixTForm(
                rows: member.outFeatures, columns: member.inFeatures, base: base, branches: branches, padding: padding)
        }
        if let branches {
            guard let form = form(branches) else { throw tooHigh(member, branches) }
            return [form]
        }
        var forms: [MixTForm] = []
        while let next = form(forms.count + 2) { forms.append(next) }
        guard !forms.isEmpty else { throw tooHigh(member, 2) }
        return forms
    }

    private func tooHigh(_ member: GroupMember, _ branches: Int) -> CompressionError {
        .impossible(
            module: member.module,
            reason:
                "\(branches) MixT branches of base \(base) need sides of at least \(base)^\(branches), the matrix is "
                + "\(member.outFeatures) × \(member.inFeatures)")
    }

    /// The smallest form that meets an energy or an error, for the numbers as written.
    ///
    /// Forms are nested, so the search ends at the first that is not accurate enough.
    private func smallest(meeting budget: Budget, _ task: CompressionTask) throws -> CompressionOutcome {
        let largestError: Double =
            switch budget {
            case .energy(let share): max(0, 1 - share).squareRoot()
            case .error(let bound): bound
            case .keep, .rank, .options: .infinity
            }
        var best: Fit?
        var found = 0.0
        for form in try forms(of: task.member) where Self.saves(form, task.member) {
            let fit = fit(form, task)
            found = task.objective.relativeError(of: fit.compressed)
            guard found <= largestError else { break }
            best = fit
        }
        guard let best else {
            return .dense(
                "the largest MixT form that is smaller than the matrix has an error of \(found); "
                    + "the target allows \(largestError)")
        }
        return outcome(best)
    }

    // MARK: The fit

    private struct Fit {
        let compressed: MixTOperator
        let evidence: CompressionEvidence
    }

    private func outcome(_ fit: Fit) -> CompressionOutcome { .compressed(fit.compressed, fit.evidence) }

    private func fit(_ form: MixTForm, _ task: CompressionTask) -> Fit {
        let objective = task.objective
        var evidence = CompressionEvidence(solver: "weight-matching")
        var places: MixTOrder?
        if order == .fitted {
            let search = MixTOrderSearch(form: form, seed: seed).order(of: objective.target)
            places = search.order
            evidence.details["natural_order_energy"] = JSON(search.naturalEnergy)
            evidence.details["fitted_order_energy"] = JSON(search.energy)
        }
        let map = MixTMap(form: form, order: places)
        var branches = MixTWeightMatching(map: map).branches(of: objective.target)
        if !objective.isPlain || form.isPadded {
            let result = MixTFit(map: map, objective: objective).improve(branches)
            branches = result.branches
            evidence.solver = "weight-matching+cg"
            evidence.details["steps"] = JSON(result.steps)
        }
        let compressed = MixTOperator(
            form, branches: branches.map { MatrixOperand($0) }, order: places, storedAs: task.member.factorType)
        let computed = map.expand(branches)
        evidence.energyKept = Self.energyKept(objective, computed)
        evidence.roundingError = Self.roundingError(compressed, computed, target: objective.target)
        evidence.shift = objective.shift
        evidence.details["redundant_parameters"] = JSON(form.redundantParameters)
        return Fit(compressed: compressed, evidence: evidence)
    }

    private static func energyKept(_ objective: Objective, _ computed: Matrix64) -> Double {
        let norm = objective.squaredNorm(of: objective.target)
        guard norm > 0 else { return 1 }
        let error = Matrix64(rows: computed.rows, columns: computed.columns) {
            objective.target[$0, $1] - computed[$0, $1]
        }
        return max(0, 1 - objective.squaredNorm(of: MatrixOperand(error)) / norm)
    }

    /// ‖W'_stored − W'_computed‖_F / ‖T‖_F.
    private static func roundingError(_ stored: MixTOperator, _ computed: Matrix64, target: MatrixOperand) -> Double {
        let norm = sumOfSquares(target)
        guard norm > 0 else { return 0 }
        let difference = sumOfSquaredDifferences(MatrixOperand(stored.reconstruct()), MatrixOperand(computed))
        return (difference / norm).squareRoot()
    }

    // MARK: Sizes

    private static func saves(_ form: MixTForm, _ member: GroupMember) -> Bool { form.parameters < member.parameters }

    private func planned(_ member: GroupMember, _ form: MixTForm) -> PlannedSize {
        let branches = (0..<form.branches).map {
            PlannedTensor(
                MixTOperator.tensorName($0), TensorDType(member.factorType), [form.branchRows, form.branchColumns])
        }
        let places = order == .fitted ? MixTOrder.plannedTensors(form) : []
        return PlannedSize(
            schema: MixTOperator.schema, entry: form.entry(ordered: order == .fitted), macs: form.macs,
            tensors: branches + places)
    }

    private static func reason(_ member: GroupMember, _ form: MixTForm) -> String {
        "\(form.branches) MixT branches would store \(form.parameters) numbers, the matrix has \(member.parameters)"
    }
}
