package whimbrel;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.MigrationInfo;
import org.flywaydb.core.api.MigrationInfoService;
import org.flywaydb.core.api.logging.Log;
import org.flywaydb.core.api.logging.LogCreator;
import org.flywaydb.core.api.output.RepairOutput;

/**
 * Answers questions to Flyway: one JSON object a line on stdin, one on stdout. A question has url, user, password, verb and
 * settings (parameters without "flyway."). The answer has what the verb gave, or its error, and then what info shows.
 */
public final class Driver {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Driver() {}

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        // Whatever a library prints must not stand between the answers.
        System.setOut(System.err);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(JSON.writeValueAsString(answer(JSON.readTree(line))));
            out.flush();
        }
    }

    private static ObjectNode answer(JsonNode question) {
        ObjectNode answer = JSON.createObjectNode();
        String verb = question.get("verb").asText();
        try {
            ask(load(question), verb, answer);
        } catch (Exception exception) {
            answer.set("error", error(exception));
        }
        if (!verb.equals("info")) {
            try {
                info(load(question), answer);
            } catch (Exception exception) {
                answer.set("info_error", error(exception));
            }
        }
        return answer;
    }

    private static Flyway load(JsonNode question) {
        Map<String, String> settings = new HashMap<>();
        settings.put("flyway.loggers", Silence.class.getName());
        question.get("settings").properties().forEach(e -> settings.put("flyway." + e.getKey(), e.getValue().asText()));
        String password = question.get("password").asText();
        return Flyway.configure()
                .dataSource(question.get("url").asText(), question.get("user").asText(), password)
                .configuration(settings)
                .load();
    }

    private static void ask(Flyway flyway, String verb, ObjectNode answer) {
        switch (verb) {
            case "info" -> info(flyway, answer);
            case "migrate" -> {
                var result = flyway.migrate();
                ObjectNode node = answer.putObject("migrate");
                node.put("initialSchemaVersion", result.initialSchemaVersion).put("targetSchemaVersion", result.targetSchemaVersion);
                node.put("migrationsExecuted", result.migrationsExecuted).put("success", result.success);
                warnings(node, result.warnings);
                ArrayNode migrations = node.putArray("migrations");
                result.migrations.forEach(m -> migrations.addObject().put("category", m.category).put("version", m.version)
                        .put("description", m.description).put("type", m.type));
            }
            case "validate" -> {
                var result = flyway.validateWithResult();
                ObjectNode node = answer.putObject("validate");
                node.put("validationSuccessful", result.validationSuccessful).put("validateCount", result.validateCount);
                node.put("errorCode", result.errorDetails == null ? null : result.errorDetails.errorCode.toString());
                ArrayNode invalid = node.putArray("invalidMigrations");
                result.invalidMigrations.forEach(m -> invalid.addObject().put("version", m.version)
                        .put("errorCode", m.errorDetails.errorCode.toString()));
            }
            case "repair" -> {
                var result = flyway.repair();
                ObjectNode node = answer.putObject("repair");
                ArrayNode actions = node.putArray("repairActions");
                result.repairActions.forEach(actions::add);
                repaired(node.putArray("migrationsRemoved"), result.migrationsRemoved);
                repaired(node.putArray("migrationsDeleted"), result.migrationsDeleted);
                repaired(node.putArray("migrationsAligned"), result.migrationsAligned);
            }
            case "baseline" -> {
                var result = flyway.baseline();
                answer.putObject("baseline").put("successfullyBaselined", result.successfullyBaselined)
                        .put("baselineVersion", result.baselineVersion);
            }
            case "clean" -> {
                var result = flyway.clean();
                ObjectNode node = answer.putObject("clean");
                ArrayNode cleaned = node.putArray("schemasCleaned");
                result.schemasCleaned.forEach(cleaned::add);
                ArrayNode dropped = node.putArray("schemasDropped");
                result.schemasDropped.forEach(dropped::add);
                warnings(node, result.warnings);
            }
            default -> throw new IllegalArgumentException(verb);
        }
    }

    private static void warnings(ObjectNode node, List<String> warnings) {
        ArrayNode list = node.putArray("warnings");
        warnings.forEach(list::add);
    }

    private static void repaired(ArrayNode list, List<RepairOutput> entries) {
        entries.forEach(entry -> list.addObject().put("version", entry.version).put("description", entry.description));
    }

    private static void info(Flyway flyway, ObjectNode answer) {
        MigrationInfoService service = flyway.info();
        MigrationInfo[] all = service.all();
        var result = service.getInfoResult();
        answer.put("schemaVersion", result.schemaVersion);
        ArrayNode lines = answer.putArray("info");
        for (int i = 0; i < all.length; i++) {
            var shown = result.migrations.get(i);
            lines.addObject().put("category", shown.category).put("version", shown.version).put("description", shown.description)
                    .put("type", shown.type).put("state", shown.state).put("checksum", all[i].getChecksum());
        }
    }

    private static ObjectNode error(Exception exception) {
        ObjectNode error = JSON.createObjectNode().put("message", exception.getMessage());
        boolean known = exception instanceof FlywayException flyway && flyway.getErrorCode() != null;
        return error.put("errorCode", known ? ((FlywayException) exception).getErrorCode().toString() : null);
    }

    /** Found by name, through the setting "loggers". */
    public static final class Silence implements LogCreator {
        @Override
        public Log createLogger(Class<?> owner) {
            return new Log() {
                @Override public boolean isDebugEnabled() { return false; }
                @Override public void debug(String message) {}
                @Override public void info(String message) {}
                @Override public void warn(String message) {}
                @Override public void error(String message) {}
                @Override public void error(String message, Exception exception) {}
                @Override public void notice(String message) {}
            };
        }
    }
}
