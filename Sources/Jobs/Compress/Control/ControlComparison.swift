import CommandLineKit
import Safetensors

/// A control and the method that it stands for, matrix by matrix, in the metric of the objective: what the report and
/// the terminal say of it.
struct ControlComparison {
    /// The matrices of one role.
    private struct Line {
        let role: String
        var matrices = 0
        var methodErrors = 0.0
        var controlErrors = 0.0
        /// Matrices where the method's error is smaller.
        var wins = 0
    }

    private let kind: String
    private let method: String
    private var lines: [Line] = []

    /// nil where no control was asked for.
    init?(_ results: [ModuleResult], method: String) {
        guard let kind = results.lazy.compactMap({ $0.report["control"]?.string }).first else { return nil }
        self.kind = kind
        self.method = method
        for result in results {
            guard let found = result.report["control_error"]?.double, let error = result.report["method_error"]?.double
            else { continue }
            let role = result.report["role"]?.string ?? ""
            let place = lines.firstIndex { $0.role == role } ?? lines.count
            if place == lines.count { lines.append(Line(role: role)) }
            lines[place].matrices += 1
            lines[place].methodErrors += error
            lines[place].controlErrors += found
            if error < found { lines[place].wins += 1 }
        }
    }

    var json: JSON {
        [
            "kind": JSON(kind), "method": JSON(method), "matrices": JSON(matrices), "control_wins": JSON(controlWins),
            "roles": .array(
                lines.map { line in
                    let count = Double(line.matrices)
                    return [
                        "role": JSON(line.role), "matrices": JSON(line.matrices),
                        "method_error": JSON(line.methodErrors / count),
                        "control_error": JSON(line.controlErrors / count), "method_wins": JSON(line.wins),
                    ]
                }),
        ]
    }

    private var matrices: Int { lines.reduce(0) { $0 + $1.matrices } }

    private var controlWins: Int { matrices - lines.reduce(0) { $0 + $1.wins } }

    var text: String {
        var table = TextTable([
            .left("role"), .right("matrices"), .right("error of \(method)"), .right("of control \(kind)"),
            .right("\(method) is better in"),
        ])
        for line in lines {
            let count = Double(line.matrices)
            table.add([
                line.role, "\(line.matrices)", Quantity.significant(line.methodErrors / count, 4),
                Quantity.significant(line.controlErrors / count, 4), "\(line.wins)",
            ])
        }
        return "this output is the control \(kind), not \(method); mean relative errors in the objective's metric\n"
            + table.text()
            + (controlWins > 0 ? "\(kind) is no worse than \(method) in \(controlWins) of \(matrices)\n" : "")
    }
}
