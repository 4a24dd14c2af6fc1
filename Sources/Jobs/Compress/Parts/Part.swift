import Safetensors

/// A part of a compression as it lies on the disk.
struct Part {
    let path: String
    let description: PartDescription
    let results: [ModuleResult]
    /// Where the checkpoint was on the machine that made the part.
    let checkpoint: String
    let seconds: Double
    let peakResidentBytes: Int

    /// Reads and checks a part; its tensors are looked at when they are copied.
    /// - Throws: `JobError.badInput` where the folder is no part, or its files do not fit together.
    init(path: String) throws {
        self.path = path
        let file = "\(path)/\(PartDescription.fileName)"
        guard try FileSystem.entry(at: file) != nil else {
            throw JobError.badInput("\(path) is no part that compress --shard wrote: it has no part.json", file: path)
        }
        description = try PartDescription(try JSON.parse(file: file), file: file)
        let reportFile = "\(path)/\(PartWriter.reportName)"
        let report = try JSON.parse(file: reportFile)
        results = (report["modules"]?.array ?? []).compactMap(ModuleResult.init)
        checkpoint = report["checkpoint"]?.string ?? ""
        seconds = report["seconds"]?.double ?? 0
        peakResidentBytes = report["peak_rss_bytes"]?.int ?? 0
        let expected = Set(description.ownGroups.flatMap(\.modules))
        guard results.count == expected.count, Set(results.map(\.name)) == expected else {
            throw JobError.badInput("it does not list the matrices of part \(description.shard)", file: reportFile)
        }
        let tensors = try SafetensorsFile(path: tensorFile)
        for name in results.flatMap(\.tensors) where tensors.tensor(named: name) == nil {
            throw JobError.badInput("the part lists a tensor that it does not have", file: tensorFile, tensor: name)
        }
    }

    var tensorFile: String { "\(path)/\(PartWriter.tensorName)" }
}

/// All parts of one compression, in order.
struct PartSet {
    let parts: [Part]

    /// - Throws: `JobError.badInput` where two are not of one run, `JobError.usage` where one is missing or given
    ///   twice.
    init(_ paths: [String]) throws {
        let parts = try paths.map { try Part(path: $0) }
        guard let first = parts.first else { throw JobError.usage("give the parts to merge") }
        var found: [Int: String] = [:]
        for part in parts {
            let differences = part.description.differences(from: first.description)
            if !differences.isEmpty {
                throw JobError.badInput(
                    "\(part.path) is not of the same run as \(first.path): \(differences.joined(separator: "; "))",
                    file: part.path)
            }
            if let earlier = found.updateValue(part.path, forKey: part.description.shard.index) {
                throw JobError.usage("part \(part.description.shard) is given twice: \(earlier) and \(part.path)")
            }
        }
        let count = first.description.shard.count
        let missing = (1...count).filter { found[$0] == nil }
        if !missing.isEmpty {
            let names = missing.prefix(8).map { "\($0)/\(count)" }.joined(separator: ", ")
            throw JobError.usage(
                "\(missing.count == 1 ? "part" : "parts") \(names)\(missing.count > 8 ? ", …" : "") "
                    + "\(missing.count == 1 ? "is" : "are") missing; give all \(count)")
        }
        if first.description.program != RunFingerprint.thisProgram {
            throw JobError.badInput(
                "the parts were made by \(first.description.program), this is \(RunFingerprint.thisProgram)",
                file: first.path)
        }
        self.parts = parts.sorted { $0.description.shard.index < $1.description.shard.index }
    }

    var description: PartDescription { parts[0].description }
}
