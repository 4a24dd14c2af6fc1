import CompressionCore
import LinearAlgebra
import MatrixCore
import Planning
import Safetensors

/// Everything a compression is asked to do, before the checkpoint is opened.
public struct CompressionRequest: Sendable {
    /// How a target is divided over the matrices.
    public struct Allocation: Sendable {
        public var rule = AllocationRule.uniform
        /// What the sensitivity of each matrix is measured on; nil measures none.
        public var text: SequenceSource?
        /// Measurements of the rule `perplexity`.
        public var searchEvaluations = 50

        public init(rule: AllocationRule = .uniform, text: SequenceSource? = nil) {
            self.rule = rule
            self.text = text
        }
    }

    /// A file of spectra that earlier commands computed.
    public struct Spectra: Sendable {
        public var path: String
        /// Whether it is made where it is missing, and completed where it lacks some.
        public var isWritten: Bool

        public init(path: String, isWritten: Bool = false) {
            self.path = path
            self.isWritten = isWritten
        }
    }

    public var checkpoint: String
    public var output: String
    public var target: Target
    public var selection: ModuleSelection
    /// One of `MethodRegistry.methods`.
    public var method: String
    public var settings: MethodSettings
    /// A plan.json that says what becomes of every matrix, in place of target, selection, method and its options.
    public var planPath: String?
    public var objective = ObjectiveRequest()
    public var allocation: Allocation
    /// Where spectra for the allocation come from; nil computes them.
    public var spectra: Spectra?
    /// What is written in place of what the method finds, to hold it against.
    public var control: ControlKind?
    /// Ranks of the adapter that is written beside the result; nil for none.
    public var adapter: AdapterRank?
    /// What factors are rounded to; nil keeps the type of each weight.
    public var factorType: ElementType?
    public var maximumShardBytes: Int
    /// The part of the work to do; nil for all of it.
    public var shard: Shard?
    public var force: Bool
    public var resume: Bool
    /// The words of the command line, for the report.
    public var commandLine: [String]

    public init(
        checkpoint: String, output: String, target: Target, selection: ModuleSelection = ModuleSelection(),
        method: String = "svd", settings: MethodSettings = MethodSettings()
    ) {
        self.checkpoint = checkpoint
        self.output = output
        self.target = target
        self.selection = selection
        self.method = method
        self.settings = settings
        planPath = nil
        allocation = Allocation()
        factorType = nil
        maximumShardBytes = Self.defaultShardBytes
        force = false
        resume = false
        commandLine = []
    }

    /// - Throws: `JobError.usage` where what is asked for does not go together.
    public func validate() throws(JobError) {
        guard let shard else { return }
        if objective.text != nil {
            throw .usage(
                "--shard \(shard): with --text matrices are compressed in sequence, each for what those before it "
                    + "give, which cannot be divided; calibrate once, and give --stats to every part")
        }
        if adapter != nil {
            throw .usage(
                "--shard \(shard): --export needs the whole output; lowrank extract-lora makes it of the merged one")
        }
        if allocation.rule != .uniform && planPath == nil {
            throw .usage(
                "--shard \(shard): --allocation \(allocation.rule.rawValue) looks at all matrices; write one plan with "
                    + "lowrank plan -o plan.json, and give --plan plan.json to every part")
        }
    }

    /// As transformers has it.
    public static let defaultShardBytes = 5_000_000_000

    /// What decides the bytes of the output, by name, for the journal and the report.
    var options: [(name: String, value: String)] {
        let all: [(name: String, value: String)] = [
            ("method", method), ("target", "\(target)"), ("storage", settings.storage.rawValue),
            ("objective", objective.effectiveKind.rawValue), ("sequential", "\(objective.text != nil)"),
            ("allocation", allocation.rule.rawValue), ("accuracy", accuracy),
            ("factor-dtype", factorType.map { TensorDType($0).rawValue } ?? "keep"),
            ("rank-multiple", "\(settings.rankMultiple)"), ("include", selection.include.joined(separator: " ")),
            ("exclude", selection.exclude.joined(separator: " ")),
            ("layers", selection.layers.map { "\($0)" } ?? "all"), ("max-shard-size", "\(maximumShardBytes)"),
            ("seed", "\(settings.seed)"),
        ]
        let control = control.map { [("control", $0.rawValue)] } ?? []
        let searches = allocation.rule == .perplexity
        let search = searches ? [("search-evaluations", "\(allocation.searchEvaluations)")] : []
        let own = settings.values.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        return all + control + search + (text?.options ?? []) + own
    }

    /// The text that matrices are fitted to in sequence, or sensitivities measured on.
    var text: SequenceSource? { objective.text ?? allocation.text }

    /// By which route matrices are decomposed.
    var accuracy: String {
        switch settings.route {
        case .direct: "exact"
        case .randomized: "fast"
        default: "automatic"
        }
    }
}
