import Safetensors

/// part.json: which part of which compression a folder is.
///
/// Equal parts of the same run give the same bytes on any machine: what was measured, and when, is in report.json.
struct PartDescription: Equatable {
    static let fileName = "part.json"
    static let version = 1

    let shard: Shard
    let program: String
    let instructionSet: String
    /// Fingerprint of the checkpoint.
    let source: String
    /// Digests of the other files: plan, statistics.
    let inputs: [String: String]
    /// For every group of the outline its part.
    let division: [Int]
    let outline: CompressionOutline

    /// Everything that must be equal in all parts, in the words of a resumed run.
    var fingerprint: RunFingerprint {
        var options = Dictionary(outline.options.map { ($0.name, $0.value) }) { first, _ in first }
        options["number of parts"] = "\(shard.count)"
        return RunFingerprint(
            inputs: inputs.merging(["checkpoint": source]) { $1 }, options: options, instructionSet: instructionSet,
            program: program)
    }

    /// What differs between two parts that should be of one run, a sentence each; empty where they fit together.
    func differences(from first: PartDescription) -> [String] {
        let differences = fingerprint.differences(from: first.fingerprint)
        if differences.isEmpty && (outline != first.outline || division != first.division) {
            return ["they are of different plans"]
        }
        return differences
    }

    /// The modules of each group of this part, by the place of the group in the outline.
    var ownGroups: [(group: Int, modules: [String])] {
        zip(outline.groups, division).enumerated().filter { $1.1 == shard.index }.map { ($0, $1.0) }
    }
}

extension PartDescription {
    var json: JSON {
        [
            "part_version": JSON(Self.version), "part": JSON(shard.index), "parts": JSON(shard.count),
            "program": JSON(program), "isa": JSON(instructionSet), "source_fingerprint": JSON(source),
            "inputs": .object(
                JSONObject(inputs.sorted { $0.key < $1.key }.map { (key: $0.key, value: JSON($0.value)) })),
            "run": outline.json, "division": JSON(division),
        ]
    }

    /// - Throws: `JobError.badInput` where the document is no part that this program can read.
    init(_ json: JSON, file: String) throws {
        guard json["part_version"]?.int == Self.version else {
            let found = json["part_version"]?.text(pretty: false) ?? "missing"
            throw JobError.badInput("part_version is \(found); expected \(Self.version)", file: file)
        }
        guard let index = json["part"]?.int, let count = json["parts"]?.int, let shard = Shard(index: index, of: count),
            let program = json["program"]?.string, let instructionSet = json["isa"]?.string,
            let source = json["source_fingerprint"]?.string, let inputs = json["inputs"]?.object,
            let outline = json["run"].flatMap(CompressionOutline.init),
            let division = json["division"]?.array?.compactMap(\.int), division.count == outline.groups.count,
            division.allSatisfy({ (1...count).contains($0) })
        else { throw JobError.badInput("it is no description of a part", file: file) }
        self.shard = shard
        self.program = program
        self.instructionSet = instructionSet
        self.source = source
        self.inputs = Dictionary(inputs.entries.map { ($0.key, $0.value.string ?? "") }) { first, _ in first }
        self.division = division
        self.outline = outline
    }
}
