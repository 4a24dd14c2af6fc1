import Safetensors

/// Everything that decides the bytes of an output, so that only the same run is ever continued.
///
/// Names and values are the job's own; they appear in messages. What cannot change the output stays out: force, resume,
/// threads, quiet, verbose, json, colour, and the path of the output itself.
public struct RunFingerprint: Equatable, Sendable {
    /// Each input file, with what identifies its content: see `InputFingerprint`.
    public var inputs: [String: String]
    /// Each option in force, defaults included, as text: `["keep": "0.6", "method": "svd"]`.
    public var options: [String: String]
    /// The instruction set of the kernels: the same bytes are promised for one instruction set only.
    public var instructionSet: String
    public var program: String

    public static let thisProgram = "\(ProgramIdentity.name) \(ProgramIdentity.version)"

    public init(
        inputs: [String: String], options: [String: String], instructionSet: String,
        program: String = RunFingerprint.thisProgram
    ) {
        self.inputs = inputs
        self.options = options
        self.instructionSet = instructionSet
        self.program = program
    }

    /// What is not as it was, one sentence each, in a fixed order.
    func differences(from earlier: RunFingerprint) -> [String] {
        var sentences: [String] = []
        if program != earlier.program { sentences.append("the program was \(earlier.program), is \(program)") }
        if instructionSet != earlier.instructionSet {
            sentences.append("the instruction set was \(earlier.instructionSet), is \(instructionSet)")
        }
        let names = Set(options.keys).union(earlier.options.keys).sorted()
        for name in names where options[name] != earlier.options[name] {
            let was = earlier.options[name] ?? "not given", now = options[name] ?? "not given"
            sentences.append("option \(name) was \(was), is \(now)")
        }
        for name in Set(inputs.keys).union(earlier.inputs.keys).sorted() where inputs[name] != earlier.inputs[name] {
            let change = inputs[name] == nil ? "is gone" : earlier.inputs[name] == nil ? "is new" : "has changed"
            sentences.append("input \(name) \(change)")
        }
        return sentences
    }
}

extension RunFingerprint {
    private static let version = 1

    var json: JSON {
        [
            "journal_version": JSON(Self.version), "program": JSON(program), "isa": JSON(instructionSet),
            "options": Self.object(options), "inputs": Self.object(inputs),
        ]
    }

    /// - Returns: nil if the document is of another version or no journal at all.
    init?(_ json: JSON) {
        guard json["journal_version"]?.int == Self.version, let program = json["program"]?.string,
            let instructionSet = json["isa"]?.string, let options = json["options"]?.object,
            let inputs = json["inputs"]?.object
        else { return nil }
        self.init(
            inputs: Self.texts(inputs), options: Self.texts(options), instructionSet: instructionSet, program: program)
    }

    private static func object(_ texts: [String: String]) -> JSON {
        .object(JSONObject(texts.sorted { $0.key < $1.key }.map { (key: $0.key, value: JSON($0.value)) }))
    }

    private static func texts(_ object: JSONObject) -> [String: String] {
        Dictionary(object.entries.map { ($0.key, $0.value.string ?? "") }) { first, _ in first }
    }
}
