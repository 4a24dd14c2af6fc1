import Checkpoints
import CommandLineKit
import Safetensors

extension InspectReport {
    /// - Parameter listsTensors: whether every tensor gets a line.
    public func text(listsTensors: Bool) -> String {
        var blocks = [overview, roleTable]
        if checkpoint.files.count > 1 { blocks.append(fileTable) }
        if checkpoint.isCompressed { blocks.append(schemaTable) }
        if listsTensors { blocks.append(tensorTable) }
        if let spectra { blocks.append(Self.spectrumTable(spectra)) }
        return blocks.joined(separator: "\n")
    }

    private var overview: String {
        let files = checkpoint.files.count
        var lines = [
            ("architecture", architecture + (checkpoint.isCompressed ? ", compressed" : "")),
            ("parameters", HumanCount.exact(checkpoint.parameterCount)),
            (
                "size",
                "\(ByteCount.human(checkpoint.byteCount)) in \(checkpoint.tensors.count) tensors, "
                    + "\(files) file\(files == 1 ? "" : "s")"
            ),
            (
                "dtypes",
                dtypes.map { "\($0.key.rawValue) (\(ByteCount.human($0.group.bytes)))" }.joined(separator: ", ")
            ),
            ("dimensions", dimensions),
            ("head", headSentence),
            ("selected", selectionSentence),
        ]
        lines.removeAll { $0.1.isEmpty }
        return lines.map { $0.0 + String(repeating: " ", count: 14 - $0.0.count) + $0.1 + "\n" }.joined()
    }

    private var dimensions: String {
        let known = checkpoint.dimensions
        let parts: [(String, Int?)] = [
            ("layers", known.layers), ("hidden", known.hidden), ("MLP", known.intermediate),
            ("heads", known.attentionHeads), ("experts", known.experts),
        ]
        return parts.compactMap { name, value in
            guard let value else { return nil }
            guard name == "heads", let keyValue = known.keyValueHeads, keyValue != value else {
                return "\(name) \(value)"
            }
            return "\(name) \(value) (\(keyValue) key-value)"
        }.joined(separator: ", ")
    }

    private var headSentence: String {
        switch tiedHead {
        case .untied: checkpoint.tensors.contains { $0.role == .head } ? "its own" : ""
        case .absent: "tied to the embedding"
        case .identical: "tied to the embedding, and stored once more"
        case .different(let head, _): "tied by config.json, but \(head) differs from the embedding"
        }
    }

    private var selectionSentence: String {
        let parameters = selected.reduce(0) { $0 + $1.storedParameters }
        let factored = selected.count { $0.factors != nil }
        let share = Double(parameters) / Double(max(checkpoint.parameterCount, 1))
        return "\(selected.count) linear layers in blocks, \(HumanCount.exact(parameters)) parameters "
            + "(\(Quantity.percent(share)))" + (factored > 0 ? ", \(factored) of them factors" : "")
    }

    private var roleTable: String {
        var table = TextTable([.left("role"), .right("tensors"), .right("parameters"), .right("share"), .right("size")])
        for (role, group) in roles {
            let share = Double(group.parameters) / Double(max(checkpoint.parameterCount, 1))
            table.add([
                role.rawValue, "\(group.count)", HumanCount.exact(group.parameters), Quantity.percent(share),
                ByteCount.human(group.bytes),
            ])
        }
        return table.text()
    }

    private var fileTable: String {
        var table = TextTable([.left("file", shrinks: true), .right("tensors"), .right("size")])
        for file in checkpoint.files {
            let name = file.path.split(separator: "/").last.map(String.init) ?? file.path
            table.add([name, "\(file.tensors.count)", ByteCount.human(file.byteCount)])
        }
        return table.text()
    }

    private var schemaTable: String {
        var table = TextTable([.left("compressed module", shrinks: true), .left("schema")])
        for module in checkpoint.compressedModules { table.add([module.name, module.schema]) }
        return table.text()
    }

    private var tensorTable: String {
        var table = TextTable([.left("tensor", shrinks: true), .left("dtype"), .right("shape"), .left("role")])
        for tensor in checkpoint.tensors {
            let shape = tensor.shape.isEmpty ? "scalar" : tensor.shape.map(String.init).joined(separator: "×")
            table.add([tensor.name, tensor.dtype.rawValue, shape, tensor.role.rawValue])
        }
        return table.text()
    }

    private static func spectrumTable(_ spectra: [WeightSpectrum]) -> String {
        var table = TextTable([
            .left("weight", shrinks: true), .right("full"), .right("effective"), .right("90 %"), .right("99 %"),
        ])
        for spectrum in spectra {
            table.add([
                spectrum.module.name, "\(spectrum.fullRank)", Quantity.fixed(spectrum.effectiveRank, 1),
                "\(spectrum.rankKeeping90)", "\(spectrum.rankKeeping99)",
            ])
        }
        return "Ranks: full, effective, and those that keep 90 % and 99 % of the energy\n" + table.text()
    }
}
