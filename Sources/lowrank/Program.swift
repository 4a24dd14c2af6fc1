import CommandLineKit
import Foundation
import Jobs
import Kernels
import Safetensors

/// The program: its table of commands, and the way from words to an exit code.
enum Program {
    /// Every command, in the order of the help text.
    static var commands: [any Command.Type] {
        [
            InspectCommand.self,
            DiagnoseCommand.self,
            CalibrateCommand.self,
            StatsShowCommand.self,
            StatsMergeCommand.self,
            PlanCommand.self,
            CompressCommand.self,
            SweepCommand.self,
            MergeCommand.self,
            VerifyCommand.self,
            RecoverCommand.self,
            ReconstructCommand.self,
            EvalCommand.self,
            GenerateCommand.self,
            BenchCommand.self,
            ConvertCommand.self,
            ExtractCommand.self,
            ReportCommand.self,
            CompletionsCommand.self,
            HelpCommand.self,
        ]
    }

    static let specification = ProgramSpecification(
        ProgramIdentity.name, version: ProgramIdentity.version,
        summary: "Compress the linear layers of language models by low-rank and tensor factorisation",
        commands: commands.map { $0.specification }, globals: GlobalOptions.all,
        exclusions: GlobalOptions.exclusions)

    /// - Parameter words: The command line without the program's own name.
    static func run(_ words: [String]) -> ExitCode {
        StandardStream.occupyClosedStreams()
        // A reader that goes away (`lowrank … | head`) ends neither a job nor its cleaning up.
        signal(SIGPIPE, SIG_IGN)
        // A limit on the size of files (`ulimit -f`) is an error with a name, as a full disk is.
        signal(SIGXFSZ, SIG_IGN)
        let environment = ProcessInfo.processInfo.environment
        let terminal = Terminal(
            program: ProgramIdentity.name,
            settings: GlobalOptions.terminalSettings(words: words, environment: environment))
        do {
            let code = try run(words, terminal)
            if let failure = terminal.outputFailure { throw failure }
            return code
        } catch {
            terminal.end()
            let failure = Failure(explaining: error)
            terminal.report(failure)
            return failure.code
        }
    }

    private static func run(_ words: [String], _ terminal: Terminal) throws -> ExitCode {
        switch try specification.parse(words) {
        case .version:
            terminal.publish(text: { specification.versionText }, json: { specification.versionJSON })
            return .done
        case .help(let topic, _):
            HelpCommand.show(topic, of: specification, terminal)
            return .done
        case .run(let chosen, let arguments):
            guard let type = commands.first(where: { $0.specification.name == chosen.name }) else {
                throw specification.unknownCommand([chosen.name])
            }
            try InstructionSet.select(environment: ProcessInfo.processInfo.environment)
            if let threads = arguments[GlobalOptions.threads] { Threads.count = threads }
            if arguments.isGiven(ReadingOptions.noMapping) { SafetensorsFile.Access.usual = .read }
            let command = try type.init(arguments)
            return try command.run(
                RunContext(
                    terminal: terminal, interruption: .bySignals(), seed: arguments[GlobalOptions.seed],
                    force: arguments[GlobalOptions.force], commandLine: [ProgramIdentity.name] + words,
                    program: specification))
        }
    }
}
