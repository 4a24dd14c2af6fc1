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

    static let sequential = Flag(
        "sequential", help: "Fit each matrix to what the compressed layers before it give; what --text asks for")

    static let section = OptionSection("Objective", [statistics, objective, fisher, sequential])

    static func request(_ arguments: ParsedArguments) throws -> ObjectiveRequest {
        let text = try TextOptions.source(arguments)
        if arguments[sequential], text == nil { throw JobError.usage("--sequential needs --text or --tokens") }
        var request = ObjectiveRequest(
            kind: arguments[objective], statistics: arguments[statistics], fisher: arguments[fisher])
        let suits = request.kind == nil ? request.fisher == nil : request.kind == .activations
        if suits || arguments[sequential] { request.text = text }
        request.insistsOnSequence = arguments[sequential]
        try request.validate()
        return request
    }
}
