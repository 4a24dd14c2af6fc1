import CommandLineKit
import Safetensors

/// What a verification found.
public struct Verification: Sendable {
    struct Line: Sendable {
        let name: String
        let found: Double
        let reported: Double?
    }

    let tolerance: Double
    var lines: [Line] = []
    /// Whatever is wrong, one sentence each.
    public internal(set) var problems: [String] = []
    var unchangedTensors = 0

    init(tolerance: Double) { self.tolerance = tolerance }

    public var isWithinTolerance: Bool { problems.isEmpty }

    mutating func compare(_ name: String, found: Double, reported: Double?) {
        lines.append(Line(name: name, found: found, reported: reported))
        guard let reported else {
            problems.append("\(name) has no error in the report")
            return
        }
        // A NaN is never within.
        if !(abs(found - reported) <= tolerance * max(1, found)) {
            problems.append("\(name) has relative error \(found); the report says \(reported)")
        }
    }

    /// A layer that was compressed before and was to stay as it was.
    mutating func compareUnselected(_ name: String, found: Double) {
        lines.append(Line(name: name, found: found, reported: nil))
        if found != 0 { problems.append("\(name) is not reported, but is not that of the source either") }
    }

    private var worst: Line? { lines.max { $0.found < $1.found } }

    public var text: String {
        var text = problems.map { "\($0)\n" }.joined()
        if let worst {
            text += "largest relative error \(Quantity.significant(worst.found, 4)) in \(worst.name)\n"
        }
        let verdict = problems.isEmpty ? "all as reported" : "\(problems.count) not as reported"
        return text + "\(lines.count) compressed matrices and \(unchangedTensors) other tensors checked: \(verdict)\n"
    }

    public var json: JSON {
        [
            "ok": JSON(isWithinTolerance), "worst_module": worst.map { JSON($0.name) } ?? .null,
            "tolerance": JSON(tolerance), "unchanged_tensors": JSON(unchangedTensors), "problems": JSON(problems),
            "tensors": .array(
                lines.map {
                    [
                        "name": JSON($0.name), "relative_error": JSON($0.found),
                        "reported": $0.reported.map { JSON($0) } ?? .null,
                    ]
                }),
        ]
    }
}
