import Foundation
import Safetensors

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// Documents as the program writes them, small.
enum SampleDocuments {
    /// A report of matrices in two layers; the last of them was kept dense.
    static func report(firstName: String = "model.layers.0.self_attn.q_proj.weight", evaluation: JSON? = nil) -> JSON {
        var report: JSON = [
            "report_version": 1,
            "program": ["name": "lowrank", "version": "0.1.0", "isa": "avx2", "threads": 2],
            "command": ["lowrank", "compress", "my model", "-o", "small", "--keep", "0.6"],
            "source": ["name": "tiny", "architecture": "llama", "parameters": 1_078_656, "bytes": 2_157_312],
            "method": "svd", "options": ["storage": "factors"], "target": "--keep 0.6",
            "totals": [
                "dense_parameters": 1_078_656, "parameters": 722_496, "dense_bytes": 2_157_312, "bytes": 1_444_992,
                "dense_macs": 978_944, "macs": 622_784, "keep_compressed": 0.5955, "keep_model": 0.6698,
                "seconds": 0.97, "peak_rss_bytes": 35_471_360,
            ],
            "stages": [["name": "compress", "seconds": 0.5], ["name": "write", "seconds": 0.4]],
            "tensors": [
                matrix(firstName, "attention.query", layer: 0, error: 0.3),
                matrix("model.layers.1.self_attn.q_proj.weight", "attention.query", layer: 1, error: 0.4),
                matrix("model.layers.1.mlp.up_proj.weight", "mlp.up", layer: 1, error: 0, dense: "no smaller"),
            ],
        ]
        report["evaluation"] = evaluation
        return report
    }

    private static func matrix(_ name: String, _ role: String, layer: Int, error: Double, dense: String? = nil) -> JSON
    {
        [
            "name": JSON(name), "shape": [128, 128], "dtype": "BF16", "role": JSON(role), "layer": JSON(layer),
            "schema": dense == nil ? "ABLinear" : "Linear", "rank": dense == nil ? 38 : .null, "parameters": 9728,
            "bytes": 19456, "macs": 9728, "relative_error": JSON(error), "activation_error": .null,
            "energy_kept": 0.81, "solver": "gram", "seconds": 0.002,
            "kept_dense_reason": dense.map { JSON($0) } ?? .null,
            "spectrum": ["indices": [1, 2, 10, 38, 128], "values": [9.5, 8, 3, 1, 0]],
        ]
    }

    /// A sweep whose third point is beaten in size and perplexity by the second.
    static func sweep(perplexities: [Double?] = [4.2, 5, 6, 40]) -> JSON {
        let bytes = [900, 700, 800, 400]
        let points = zip(bytes, perplexities).enumerated().map { index, point -> JSON in
            [
                "method": index == 2 ? "tt" : "svd", "options": ["storage": "pivot"],
                "target": ["kind": "keep", "value": JSON(Double(point.0) / 1000)], "keep_compressed": 0.5,
                "keep_model": 0.6, "parameters": JSON(point.0 / 2), "bytes": JSON(point.0 * 1_000_000), "macs": 10,
                "relative_error": JSON(0.1 * Double(index + 1)), "activation_error": .null,
                "perplexity": point.1.map { JSON($0) } ?? .null, "seconds": 1.5,
            ]
        }
        return [
            "sweep_version": 1, "program": ["name": "lowrank", "version": "0.1.0"],
            "command": ["lowrank", "sweep", "m"],
            "source": ["name": "tiny", "parameters": 500, "bytes": 1_000_000_000, "perplexity": 4],
            "points": .array(points),
        ]
    }
}

/// What an XML parser finds in a page: pages are written so that one takes them.
final class ParsedPage: NSObject, XMLParserDelegate {
    private(set) var elements: [String: Int] = [:]
    private(set) var attributes: [(element: String, name: String, value: String)] = []
    private(set) var text = ""

    /// nil where the page is not well-formed.
    init?(_ page: String) {
        super.init()
        let parser = XMLParser(data: Data(page.utf8))
        parser.delegate = self
        guard parser.parse() else { return nil }
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes found: [String: String]
    ) {
        elements[name, default: 0] += 1
        attributes += found.map { (name, $0.key, $0.value) }
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
}
