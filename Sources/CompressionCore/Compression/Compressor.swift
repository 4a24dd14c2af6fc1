import MatrixCore
import Safetensors

/// A way to compress: turns weights into operators within a budget.
///
/// Works on groups: one matrix, the projections of one layer, one projection over several layers, the experts of a
/// block. Most methods have groups of one.
public protocol Compressor: Sendable {
    /// The name that `--method` and reports use.
    static var method: String { get }

    /// The options that belong to the method, by their names on the command line.
    static var optionNames: [String] { get }

    /// Those of them that say how much to keep, so that no other target is needed.
    static var sizeOptionNames: [String] { get }

    /// The options that state the ranks which an operator's entry lists, for a plan; nil where the method has none.
    static func sizeOptions(ranks: [Int]) -> [String: String]?

    /// Whether a matrix that is stored as factors is compressed further from these; otherwise it is refused.
    static var truncatesFactors: Bool { get }

    /// - Throws: `CompressionError.badOption` where a value makes no sense, or options contradict each other.
    init(_ settings: MethodSettings) throws(CompressionError)

    /// Which matrices are compressed together.
    var grouping: Grouping { get }

    /// Which projections take part in it, where it is by blocks or experts.
    var groupedProjections: GroupedProjections { get }

    /// The size of the result, from shapes alone.
    ///
    /// - Returns: nil if the budget needs the weights (`Budget.isKnownFromShape`).
    /// - Throws: `CompressionError` if the method cannot treat such a group at all.
    func size(of group: [GroupMember], budget: Budget) throws(CompressionError) -> [PlannedSize]?

    /// What a matrix loses at every rank; nil where the method has no such curve.
    func curve(of task: CompressionTask) throws -> LossCurve?

    /// The same, and the matrix truncated to one of the ranks, from one decomposition where the method has one.
    ///
    /// - Parameter choosingRank: gets the curve, whose losses may be off by a common factor; nil asks for none.
    /// - Returns: the curve, to the bit that of `curve(of:)`, and what `compress(_:budget:)` gives at the rank.
    func curve(
        of task: CompressionTask, choosingRank: (LossCurve) -> Int?
    ) throws -> (curve: LossCurve, truncated: CompressionOutcome?)?

    /// What a group that is compressed together loses at every size; nil where the method has no such curve.
    func curve(of group: [CompressionTask]) throws -> GroupLossCurve?

    /// What a matrix loses at every rank where the spectrum in the metric of the objective is known: σ_i², descending.
    func curve(of member: GroupMember, squaredSpectrum: [Double]) -> LossCurve?

    /// Truncates a matrix to one rank after the other, up to a largest one, from one decomposition where the method has
    /// one; what `compress(_:budget:)` gives, but for rounding.
    func truncation(of task: CompressionTask, upTo rank: Int) -> (_ rank: Int) throws -> CompressionOutcome

    /// Compresses a group.
    ///
    /// - Parameter group: one objective per module; all modules of the group are treated together.
    /// - Returns: one outcome per module, in order.
    func compress(_ group: [CompressionTask], budget: Budget) throws -> [CompressionOutcome]

    /// Compresses a group in several ways, and computes once what they have in common: a method that decomposes does so
    /// at the largest rank and cuts.
    ///
    /// - Parameters:
    ///   - variants: compressors of this method, which may differ in all of their settings, each with its budget.
    ///   - receive: takes the outcomes of every variant, in the order that suits the method: to the bit those of
    ///     `compress(_:budget:)`. They are not kept, so memory is that of one variant at a time.
    static func compress(
        _ group: [CompressionTask], variants: [CompressionVariant],
        receive: (_ variant: Int, [CompressionOutcome]) throws -> Void
    ) throws
}

extension Compressor {
    public static var optionNames: [String] { [] }
    public static var sizeOptionNames: [String] { [] }
    public static var truncatesFactors: Bool { false }
    public static func sizeOptions(ranks: [Int]) -> [String: String]? { nil }
    public var grouping: Grouping { .single }
    public var groupedProjections: GroupedProjections { .all }
    public func curve(of task: CompressionTask) throws -> LossCurve? { nil }
    public func curve(
        of task: CompressionTask, choosingRank: (LossCurve) -> Int?
    ) throws -> (curve: LossCurve, truncated: CompressionOutcome?)? {
        guard let curve = try curve(of: task) else { return nil }
        return (curve, try choosingRank(curve).map { try compress([task], budget: .rank($0))[0] })
    }
    public func curve(of group: [CompressionTask]) throws -> GroupLossCurve? { nil }
    public func truncation(
        of task: CompressionTask, upTo rank: Int
    ) -> (_ rank: Int) throws -> CompressionOutcome {
        { try compress([task], budget: .rank($0))[0] }
    }
    public func curve(of member: GroupMember, squaredSpectrum: [Double]) -> LossCurve? { nil }
}

/// A module of a group, as its shape: W (m × n) and the type its factors are stored in.
public struct GroupMember: Sendable, Equatable {
    public let module: String
    /// m.
    public let outFeatures: Int
    /// n.
    public let inFeatures: Int
    public let factorType: ElementType
    /// How an attention projection divides into heads; nil for others, and where the model does not say.
    public let heads: HeadSplit?
    /// The factors that W is stored as; nil where it is stored dense.
    public let stored: StoredFactors?

    /// Thin factors of a matrix.
    public struct StoredFactors: Sendable, Equatable {
        public let rank: Int
        /// Numbers in them.
        public let parameters: Int

        public init(rank: Int, parameters: Int) {
            self.rank = rank
            self.parameters = parameters
        }
    }

    public init(
        module: String, outFeatures: Int, inFeatures: Int, factorType: ElementType, heads: HeadSplit? = nil,
        stored: StoredFactors? = nil
    ) {
        self.module = module
        self.outFeatures = outFeatures
        self.inFeatures = inFeatures
        self.factorType = factorType
        self.heads = heads
        self.stored = stored
    }

    /// Numbers in W.
    public var parameters: Int { outFeatures * inFeatures }

    /// Numbers, and multiply-adds per token, of the form that W is stored in.
    public var storedParameters: Int { stored?.parameters ?? parameters }
}

/// A module of a group with its weight.
public struct CompressionTask: Sendable {
    public let member: GroupMember
    public let objective: Objective

    public init(member: GroupMember, objective: Objective) {
        self.member = member
        self.objective = objective
    }
}

/// What a module will be stored as.
public struct PlannedSize: Sendable, Equatable {
    /// Schema, or nil where the module stays dense.
    public let schema: String?
    /// Rank or ranks, as `LinearOperator.entry` has them.
    public let entry: JSONObject
    /// Multiply-adds per token.
    public let macs: Int
    /// The tensors that replace the weight; none where the module stays dense.
    public let tensors: [PlannedTensor]
    /// The tensors of the form that it takes where the weights suit the first one worse; as `tensors` where there is
    /// none.
    public let alternative: [PlannedTensor]
    /// Why the module stays dense.
    public let keptDense: String?

    /// - Parameter tensors: those that modules of a group share are listed by each of them.
    public init(
        schema: String, entry: JSONObject, macs: Int, tensors: [PlannedTensor], alternative: [PlannedTensor]? = nil
    ) {
        self.schema = schema
        self.entry = entry
        self.macs = macs
        self.tensors = tensors
        self.alternative = alternative ?? tensors
        keptDense = nil
    }

    /// A module that stays as it is: dense, or in the factors it has.
    public init(dense member: GroupMember, because reason: String) {
        schema = nil
        entry = JSONObject()
        macs = member.storedParameters
        tensors = []
        alternative = []
        keptDense = reason
    }

    /// Numbers stored in the tensors, positions not counted.
    public var parameters: Int { tensors.reduce(0) { $0 + ($1.isIndex ? 0 : $1.elementCount) } }

    /// Bytes of the tensors of the larger form, positions included.
    public var bytes: Int {
        max(tensors.reduce(0) { $0 + $1.byteCount }, alternative.reduce(0) { $0 + $1.byteCount })
    }
}

/// A tensor that will be stored.
public struct PlannedTensor: Sendable, Equatable {
    /// As `OperatorTensor.name`.
    public let name: String
    public let scope: OperatorTensor.Scope
    public let dtype: TensorDType
    public let shape: [Int]
    public let isIndex: Bool

    public init(
        _ name: String, _ dtype: TensorDType, _ shape: [Int], scope: OperatorTensor.Scope = .module,
        isIndex: Bool = false
    ) {
        self.name = name
        self.scope = scope
        self.dtype = dtype
        self.shape = shape
        self.isIndex = isIndex
    }

    public var elementCount: Int { shape.reduce(1, *) }
    public var byteCount: Int { elementCount * dtype.bits / 8 }
}

/// What became of a module.
public enum CompressionOutcome: Sendable {
    case compressed(any LinearOperator, CompressionEvidence)
    /// Left as it is, and why.
    case dense(String)
}

/// How a result was made. What cannot be known is nil.
public struct CompressionEvidence: Sendable {
    public var solver: String
    /// Kept share of Σσ² in the metric of the objective.
    public var energyKept: Double?
    /// ‖W'_stored − W'_computed‖_F / ‖W‖_F: the part of the error that storing in the factor type adds.
    public var roundingError: Double?
    /// What was added to the diagonal of a singular Gram matrix.
    public var shift: Double?
    /// ‖T − W'_stored‖_F / ‖T‖_F, where the compressor has measured it.
    public var plainError: Double?
    /// Further figures, by name.
    public var details = JSONObject()
    /// Where the time went; empty where the method does not say.
    public var stages = StageTimes()

    public init(
        solver: String, energyKept: Double? = nil, roundingError: Double? = nil, shift: Double? = nil
    ) {
        self.solver = solver
        self.energyKept = energyKept
        self.roundingError = roundingError
        self.shift = shift
    }
}

/// Why a request cannot be carried out.
public enum CompressionError: Error, Equatable, Sendable {
    /// The request makes no sense for the method or the shape; says what to do.
    case impossible(module: String, reason: String)
    /// An option of the method has a value that makes no sense.
    case badOption(name: String, reason: String)
    /// The smallest possible result is above the target.
    case targetUnreachable(String)
}

extension CompressionError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .impossible(let module, let reason): "\(module): \(reason)"
        case .badOption(let name, let reason): "--\(name): \(reason)"
        case .targetUnreachable(let reason): reason
        }
    }
}
