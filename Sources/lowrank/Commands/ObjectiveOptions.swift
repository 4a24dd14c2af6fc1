import CommandLineKit
import Jobs

/// In what the error of a matrix is measured.
enum ObjectiveOptions {
    static let statistics = Option(
        "stats", .file("STATS"), help: "Activation statistics that calibrate wrote for this checkpoint")
    static let objective = Option(
        "objective", ValueFormat<ObjectiveRequest.Kind>.choice("NAME"),
        help: "weights, activations, asvd or fisher; with --stats activations by default")
    static let fisher = Option(
        "fisher", .file(), help: "Mean squared gradients, safetensors with the names of the weights")

    static let section = OptionSection("Objective", [statistics, objective, fisher])

    static func request(_ arguments: ParsedArguments) throws -> ObjectiveRequest {
        let request = ObjectiveRequest(
            kind: arguments[objective], statistics: arguments[statistics], fisher: arguments[fisher])
        try request.validate()
        return request
    }
}
