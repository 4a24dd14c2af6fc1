import Planning
import Safetensors

/// Everything a sweep is asked to do, before the checkpoint is opened.
public struct SweepRequest: Sendable {
    public var checkpoint: String
    /// The folder of the results.
    public var output: String
    /// At least one, with different labels.
    public var points: [SweepPoint]
    /// What the perplexity of every point is measured on; nil measures none.
    public var evaluation: SequenceSource?
    /// Labels of the points whose checkpoints are written.
    public var written: Set<String>
    public var usesMapping = true
    public var force = false
    public var resume = false
    /// The words of the command line, for the results.
    public var commandLine: [String] = []

    public init(
        checkpoint: String, output: String, points: [SweepPoint], evaluation: SequenceSource? = nil,
        written: Set<String> = []
    ) {
        self.checkpoint = checkpoint
        self.output = output
        self.points = points
        self.evaluation = evaluation
        self.written = written
    }

    /// Files that the results depend on beside the checkpoint, each once.
    var files: [(role: String, path: String)] {
        var files: [(role: String, path: String)] = []
        var known: Set<String> = []
        let evaluated = (evaluation?.files ?? []).enumerated().map { (role: "eval-text \($0) ", path: $1) }
        for file in points.flatMap({ CompressJob($0.request).files }) + evaluated
        where known.insert(file.role + file.path).inserted {
            files.append(file)
        }
        return files
    }

    /// What decides the results, by name, for the journal.
    var options: [String: String] {
        var options: [String: String] = [:]
        for point in points {
            let words = point.request.options.map { "\($0.name)=\($0.value)" }
            options["point " + point.label] = words.joined(separator: " ")
        }
        options["write"] = written.sorted().joined(separator: " ")
        for (name, value) in evaluation?.options ?? [] { options["eval " + name] = value }
        return options
    }
}

/// One compression of a sweep.
public struct SweepPoint: Sendable {
    /// Tells it from the others; made of letters, digits, `.`, `-`, `=` and `,`: `03-svd-pivot-keep=0.8`.
    public let label: String
    /// What `compress` would be asked, its output aside.
    public var request: CompressionRequest
    /// The options that make it what it is beside method and target, as on a command line, without dashes.
    public let options: [(name: String, value: String)]

    public init(label: String, request: CompressionRequest, options: [(name: String, value: String)]) {
        self.label = label
        self.request = request
        self.options = options
    }

    /// `svd storage=pivot`.
    var title: String {
        ([request.method] + options.map { "\($0.name)=\($0.value)" }).joined(separator: " ")
    }
}

extension Target {
    /// The name of its option, and its value; none where the options of the method state the size.
    public var parts: (kind: String, value: JSON) {
        switch self {
        case .keep(let fraction): ("keep", JSON(fraction))
        case .rank(let rank): ("rank", JSON(rank))
        case .parameters(let count): ("target-params", JSON(count))
        case .bytes(let count): ("target-size", JSON(count))
        case .energy(let share): ("energy", JSON(share))
        case .error(let bound): ("max-error", JSON(bound))
        case .options: ("options", .null)
        case .plan: ("plan", .null)
        }
    }

    /// `keep=0.8`, or `options`.
    public var short: String {
        let (kind, value) = parts
        return value.isNull ? kind : "\(kind)=\(value.text(pretty: false))"
    }
}
